"""Alternatives in transcripts, in the notation of NIST's sclite: ``i { um / uh / @ } agree``."""

from __future__ import annotations

import re

import attrs

_PARTS = re.compile(r"\s+|[{}/]|[^\s{}/]+")
_NOTHING = "@"


@attrs.frozen(kw_only=True)
class Alternatives:
    """The readings of a text, as a graph whose arcs carry words.

    Attributes:
        incoming: For each node the arcs that end in it, as the node each starts in and its words; empty words are a way
            without any. Node 0 has none, and every arc leads to a node with a higher number.
    """

    incoming: tuple[tuple[tuple[int, str], ...], ...] = attrs.field(repr=False)

    def readings(self, *, most: int) -> tuple[str, ...] | None:
        """Return all readings, in no particular order; None if there are more than *most*."""
        counts = [1]
        for arcs in self.incoming[1:]:
            counts.append(sum(counts[source] for source, _ in arcs))
            if counts[-1] > most:
                return None
        found: list[str] = []
        pending: list[tuple[int, _Suffix]] = [(len(self.incoming) - 1, None)]
        while pending:
            node, suffix = pending.pop()
            if node == 0:
                found.append(_joined(suffix))
            pending += [(source, (words, suffix)) for source, words in self.incoming[node]]
        return tuple(reversed(found))


type _Suffix = tuple[str, _Suffix] | None


def _joined(suffix: _Suffix) -> str:
    words: list[str] = []
    while suffix is not None:
        first, suffix = suffix
        words += [first] if first else []
    return " ".join(words)


def parse_alternatives(text: str) -> Alternatives | None:
    """Return the readings of *text*; None if there is only the text itself.

    ``{`` opens alternatives where a word may begin, ``/`` separates and ``}`` closes them; they nest. ``@`` stands for
    no word, inside and outside of braces. Time and memory grow with the length of the text, however deep it nests.

    Raises:
        ValueError: A brace is not closed. It names the column.

    Source: NIST SCTK, ``doc/infmts.htm``; ``src/sclite/text.c``, ``find_next_TEXT_token`` and
        ``find_next_TEXT_alternation``, where an alternative without any word is none.
    """
    if "{" not in text and _NOTHING not in text:
        return None
    builder = _Builder()
    for part in _PARTS.finditer(text):
        builder.add(part[0], part.start())
    return builder.finished()


@attrs.define
class _Open:
    """Alternatives that are not closed yet."""

    start: int
    column: int
    is_after_nothing: bool
    ends: list[int] = attrs.field(factory=list)


@attrs.define
class _Builder:
    """A graph in the making; nodes are numbered as they are made, so that arcs only lead upwards."""

    incoming: list[tuple[tuple[int, str], ...]] = attrs.field(factory=lambda: [()])
    open: list[_Open] = attrs.field(factory=list)
    node: int = 0
    words: list[str] = attrs.field(factory=list)
    word: list[str] = attrs.field(factory=list)
    is_empty: bool = True  # whether the alternative has neither a word nor ``@`` so far
    is_plain: bool = True

    def add(self, part: str, column: int) -> None:
        """Add white space, a sign, or a run of other characters."""
        if part.isspace():
            self._end_word()
        elif part == "{" and (self.open or not self.word):
            self._end_words()
            self.open.append(_Open(start=self.node, column=column, is_after_nothing=self.is_empty))
            self.is_empty, self.is_plain = True, False
        elif part == "/" and self.open:
            self._end_alternative()
            self.node, self.is_empty = self.open[-1].start, True
        elif part == "}" and self.open:
            self._end_alternative()
            self._close()
        else:
            self.word.append(part)

    def finished(self) -> Alternatives | None:
        """Return the graph; None if there is but one reading, the text itself."""
        self._end_words()
        if self.open:
            raise ValueError(f"the brace in column {self.open[-1].column + 1} opens alternatives and is not closed")
        return None if self.is_plain else Alternatives(incoming=tuple(self.incoming))

    def _end_word(self) -> None:
        if self.word == [_NOTHING]:
            self.is_empty = self.is_plain = False
        elif self.word:
            self.words.append("".join(self.word))
            self.is_empty = False
        self.word = []

    def _end_words(self) -> None:
        self._end_word()
        if self.words:
            self._join((self.node, " ".join(self.words)))
            self.words = []

    def _end_alternative(self) -> None:
        self._end_words()
        if not self.is_empty:
            self.open[-1].ends.append(self.node)

    def _close(self) -> None:
        closed = self.open.pop()
        self.node = closed.start
        self.is_empty = closed.is_after_nothing and not closed.ends
        if closed.ends:
            self._join(*((end, "") for end in closed.ends))

    def _join(self, *arcs: tuple[int, str]) -> None:
        self.node = len(self.incoming)
        self.incoming.append(arcs)
