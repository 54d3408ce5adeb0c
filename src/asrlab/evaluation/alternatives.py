"""Alternatives in transcripts, in the notation of NIST's sclite: ``i { um / uh / @ } agree``."""

from __future__ import annotations

import re

import attrs

_PARTS = re.compile(r"\s+|[{}/]|[^\s{}/]+")
_NO_WORD = "@"

type _Arc = tuple[int, str]


@attrs.frozen(kw_only=True)
class Alternatives:
    """The readings of a text, as a graph whose arcs carry words.

    Attributes:
        incoming: For each node the arcs that end in it, as their start node and their words, which may be empty. Node 0
            has no arcs, and every arc leads to a node with a higher number.
    """

    incoming: tuple[tuple[_Arc, ...], ...] = attrs.field(repr=False)

    def readings(self, *, most: int) -> tuple[str, ...] | None:
        """Return all readings, in no particular order; None if there are more than *most*."""
        counts = [1]
        for arcs in self.incoming[1:]:
            counts.append(sum(counts[source] for source, _ in arcs))
            if counts[-1] > most:
                return None
        readings: list[str] = []
        pending: list[tuple[int, _Suffix]] = [(len(self.incoming) - 1, None)]
        while pending:
            node, suffix = pending.pop()
            if node == 0:
                readings.append(_join_suffix(suffix))
            pending += [(source, (words, suffix)) for source, words in self.incoming[node]]
        return tuple(reversed(readings))


type _Suffix = tuple[str, _Suffix] | None


def _join_suffix(suffix: _Suffix) -> str:
    words: list[str] = []
    while suffix is not None:
        first, suffix = suffix
        words += [first] if first else []
    return " ".join(words)


def parse_alternatives(text: str) -> Alternatives | None:
    """Return the readings of *text*; None if it has only one reading, the text itself.

    ``{`` opens alternatives where a word may begin, ``/`` separates and ``}`` closes them; they nest. ``@`` stands for
    no word, inside and outside of braces. Time and memory grow linearly with the length of the text, however deeply it
    nests.

    Raises:
        ValueError: If a brace is not closed; the message names the column.

    Source: NIST SCTK, ``doc/infmts.htm``; ``src/sclite/text.c``, ``find_next_TEXT_token`` and
        ``find_next_TEXT_alternation``, which ignores an alternative without any word.
    """
    if "{" not in text and _NO_WORD not in text:
        return None
    builder = _GraphBuilder()
    for part in _PARTS.finditer(text):
        builder.add(part[0], part.start())
    return builder.finish()


@attrs.define
class _OpenBrace:
    """Alternatives that are not closed yet."""

    start_node: int
    column: int
    was_empty: bool
    end_nodes: list[int] = attrs.field(factory=list)


@attrs.define
class _GraphBuilder:
    """A graph under construction; nodes are numbered in order of creation, so that arcs only lead upwards."""

    incoming: list[tuple[_Arc, ...]] = attrs.field(factory=lambda: [()])
    open_braces: list[_OpenBrace] = attrs.field(factory=list)
    node: int = 0
    words: list[str] = attrs.field(factory=list)
    word: list[str] = attrs.field(factory=list)
    is_empty: bool = True  # the alternative has neither a word nor ``@`` so far
    is_plain: bool = True  # the text has only one reading so far

    def add(self, part: str, column: int) -> None:
        """Add white space, a sign, or a run of other characters."""
        if part.isspace():
            self._end_word()
        elif part == "{" and (self.open_braces or not self.word):
            self._end_words()
            self.open_braces.append(_OpenBrace(start_node=self.node, column=column, was_empty=self.is_empty))
            self.is_empty, self.is_plain = True, False
        elif part == "/" and self.open_braces:
            self._end_alternative()
            self.node, self.is_empty = self.open_braces[-1].start_node, True
        elif part == "}" and self.open_braces:
            self._end_alternative()
            self._close_brace()
        else:
            self.word.append(part)

    def finish(self) -> Alternatives | None:
        """Return the graph; None if there is only one reading, the text itself."""
        self._end_words()
        if self.open_braces:
            column = self.open_braces[-1].column + 1
            raise ValueError(f"the brace in column {column} opens alternatives and is not closed; add a closing brace")
        return None if self.is_plain else Alternatives(incoming=tuple(self.incoming))

    def _end_word(self) -> None:
        if self.word == [_NO_WORD]:
            self.is_empty = self.is_plain = False
        elif self.word:
            self.words.append("".join(self.word))
            self.is_empty = False
        self.word = []

    def _end_words(self) -> None:
        self._end_word()
        if self.words:
            self._add_node((self.node, " ".join(self.words)))
            self.words = []

    def _end_alternative(self) -> None:
        self._end_words()
        if not self.is_empty:
            self.open_braces[-1].end_nodes.append(self.node)

    def _close_brace(self) -> None:
        brace = self.open_braces.pop()
        self.node = brace.start_node
        self.is_empty = brace.was_empty and not brace.end_nodes
        if brace.end_nodes:
            self._add_node(*((node, "") for node in brace.end_nodes))

    def _add_node(self, *arcs: _Arc) -> None:
        self.node = len(self.incoming)
        self.incoming.append(arcs)
