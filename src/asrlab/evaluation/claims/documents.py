"""Documents with markers: what in them is generated from records, and what their authors answer for.

::

    <!-- asrlab:begin status -->
    a table, generated
    <!-- asrlab:end -->

    The WER was <!-- asrlab:figure record=base.jsonl model=faster-whisper/base figure=wer -->0.00 %<!-- asrlab:end -->.

    <!-- asrlab:allow reason="it is the size of a download" -->
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.claims.markup import Comment, Source, TextBlock, read_markup
from asrlab.output_files import write_file

_MARKER = re.compile(r"<!--\s*asrlab:\s*([\w-]*)(.*?)-->", re.DOTALL)
_KINDS = ("begin", "figure", "end", "allow")


@attrs.frozen(kw_only=True)
class GeneratedSpan:
    """A stretch of a document that is generated from records.

    Attributes:
        name: ``figure``, or the block's name.
        options: What its marker says, in order.
        start: Where the generated text begins in the source.
        end: Where it ends.
        line: The marker's, counted from 1.
        column: The marker's, counted from 1.
    """

    name: str
    options: tuple[tuple[str, str], ...]
    start: int
    end: int
    line: int
    column: int


@attrs.define(kw_only=True)
class Waiver:
    """A marker by which an author answers for a figure that no record backs.

    Attributes:
        reason: In the author's words.
        line: The marker's, counted from 1.
        lines: Those that it covers, counted from 0, and the one behind them.
        covers: The figures that it let pass.
    """

    reason: str
    line: int
    lines: tuple[int, int]
    covers: list[str] = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class MarkdownDocument:
    """A document, taken apart.

    Attributes:
        path: Its file.
        source: Its text.
        ties: What is generated.
        passages: The rest, as far as it is shown; what is generated is hidden in it.
        allowances: Its markers ``allow``.
    """

    path: Path
    source: Source
    ties: tuple[GeneratedSpan, ...]
    passages: tuple[TextBlock, ...]
    allowances: tuple[Waiver, ...]

    def text_of(self, tie: GeneratedSpan) -> str:
        """What stands there now."""
        return self.source.text[tie.start : tie.end]

    def with_texts(self, texts: Iterable[tuple[GeneratedSpan, str]]) -> str:
        """The whole source with other texts in its ties."""
        text = self.source.text
        for tie, new in sorted(texts, key=lambda pair: pair[0].start, reverse=True):
            text = text[: tie.start] + new + text[tie.end :]
        return text

    def write(self, text: str) -> None:
        """Write the file, whole or not at all, with the ends of lines that it has.

        Raises:
            OutputError: It cannot be written.
        """
        ending = "\r\n" if b"\r\n" in self.path.read_bytes() else "\n"
        write_file(self.path.resolve(), text.replace("\n", ending).encode())


def find_documents(paths: Iterable[Path]) -> list[Path]:
    """The files among *paths*, and the ``.md`` files in folders among them.

    Raises:
        DatasetError: There is nothing of that name.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(sorted(path.rglob("*.md")))
        elif path.is_file():
            found[path] = None
        else:
            raise DatasetError(f"there is no document {path}; name files, or folders with .md files in them", path=path)
    return list(found)


def read_document(path: Path) -> MarkdownDocument:
    """Take a document apart.

    Raises:
        DatasetError: It cannot be read, or a marker in it is not one that asrlab knows; it names file and line.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"cannot read the document {path}: {error}", path=path) from error
    source = Source(text.replace("\r\n", "\n"))
    passages, comments = read_markup(source)
    markers = list(_markers(comments, source, path))
    ties = tuple(_ties(markers, source, path))
    spans = sorted((tie.start, tie.end) for tie in ties)
    passages = [passage.without(spans) for passage in passages]
    allowances = tuple(_allowance(marker, source, path) for marker in markers if marker.kind == "allow")
    return MarkdownDocument(path=path, source=source, ties=ties, passages=tuple(passages), allowances=allowances)


@attrs.frozen(kw_only=True)
class _Marker:
    """One comment that begins with ``asrlab:``."""

    kind: str
    words: tuple[str, ...]
    comment: Comment

    def options(self, words: Sequence[str]) -> tuple[tuple[str, str], ...]:
        return tuple((name, value) for name, _, value in (word.partition("=") for word in words))


def _markers(comments: Iterable[Comment], source: Source, path: Path) -> Iterator[_Marker]:
    for comment in comments:
        found = _MARKER.fullmatch(source.text[comment.start : comment.end])
        if found is None:
            continue
        if found[1] not in _KINDS:
            raise _error(path, source, comment, f"there is no marker asrlab:{found[1]}; there are {', '.join(_KINDS)}")
        try:
            words = shlex.split(found[2])
        except ValueError as error:
            raise _error(path, source, comment, f"a marker that cannot be read ({error}); close its quotes") from error
        yield _Marker(kind=found[1], words=tuple(words), comment=comment)


def _ties(markers: Sequence[_Marker], source: Source, path: Path) -> Iterator[GeneratedSpan]:
    opened: _Marker | None = None
    for marker in markers:
        if marker.kind == "allow":
            continue
        if (marker.kind == "end") == (opened is None):
            told = "ends nothing" if opened is None else "begins before the one above has its asrlab:end"
            raise _error(path, source, marker.comment, f"the marker asrlab:{marker.kind} {told}")
        if opened is None:
            opened = marker
            continue
        yield _tie(opened, marker, source, path)
        opened = None
    if opened is not None:
        raise _error(path, source, opened.comment, f"the marker asrlab:{opened.kind} has no asrlab:end")


def _tie(marker: _Marker, end: _Marker, source: Source, path: Path) -> GeneratedSpan:
    line, column = source.place(marker.comment.start)
    name, words = "figure", marker.words
    if marker.kind == "begin":
        if not marker.words or "=" in marker.words[0]:
            raise _error(path, source, marker.comment, "the marker asrlab:begin names no block; such as: begin status")
        if not (marker.comment.block and end.comment.block):
            raise _error(path, source, marker.comment, "a block's markers begin a line, with nothing else on it")
        name, words = marker.words[0], marker.words[1:]
    if wrong := [word for word in words if "=" not in word]:
        raise _error(path, source, marker.comment, f"a marker's options are name=value, not {wrong[0]!r}")
    return GeneratedSpan(
        name=name,
        options=marker.options(words),
        start=marker.comment.end,
        end=end.comment.start,
        line=line,
        column=column,
    )


def _allowance(marker: _Marker, source: Source, path: Path) -> Waiver:
    reason = dict(marker.options(marker.words)).get("reason", "").strip()
    if not reason:
        raise _error(path, source, marker.comment, 'the marker asrlab:allow gives no reason; write reason="..."')
    return Waiver(reason=reason, line=source.place(marker.comment.start)[0], lines=marker.comment.lines)


def _error(path: Path, source: Source, comment: Comment, message: str) -> DatasetError:
    line, column = source.place(comment.start)
    return DatasetError(f"{path}:{line}:{column}: {message}", path=path, line=line)
