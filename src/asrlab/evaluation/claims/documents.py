"""Documents with markers: text that is generated from records, and figures that their authors vouch for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.claims.markup import Comment, SourceText, TextBlock, read_markup
from asrlab.output_files import write_file

_MARKER = re.compile(r"<!--\s*asrlab:\s*([\w-]*)(.*?)-->", re.DOTALL)
_KINDS = ("begin", "figure", "end", "allow")


@attrs.frozen(kw_only=True)
class GeneratedSpan:
    """A figure, or a block by its name, that is generated from records, with its offsets and its marker's position."""

    name: str
    options: Mapping[str, str]
    start: int
    end: int
    line: int
    column: int


@attrs.define(kw_only=True)
class Waiver:
    """A marker ``allow``, by which an author vouches for figures that no record backs.

    The waiver collects the *figures* that it was used for. It covers *lines*: the first, counted from 0, and the line
    after the last.
    """

    reason: str
    line: int
    lines: tuple[int, int]
    figures: list[str] = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class MarkdownDocument:
    """A parsed document. In its *blocks* of visible text, generated text is hidden."""

    path: Path
    source: SourceText
    spans: tuple[GeneratedSpan, ...]
    blocks: tuple[TextBlock, ...]
    waivers: tuple[Waiver, ...]

    def span_text(self, span: GeneratedSpan) -> str:
        """Return the present text of *span*."""
        return self.source.text[span.start : span.end]

    def replace_spans(self, texts: Iterable[tuple[GeneratedSpan, str]]) -> str:
        """Return the source with the given texts in its spans."""
        text = self.source.text
        for span, new in sorted(texts, key=lambda pair: pair[0].start, reverse=True):
            text = text[: span.start] + new + text[span.end :]
        return text

    def write(self, text: str) -> None:
        """Replace the file atomically with *text*, and keep the file's line ends."""
        ending = "\r\n" if b"\r\n" in self.path.read_bytes() else "\n"
        write_file(self.path.resolve(), text.replace("\n", ending).encode())


def find_documents(paths: Iterable[Path]) -> list[Path]:
    """Return the files among *paths*, which must exist, and the ``.md`` files in the folders among them."""
    documents: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            documents |= dict.fromkeys(sorted(path.rglob("*.md")))
        elif path.is_file():
            documents[path] = None
        else:
            raise DatasetError(f"document {path} not found; name files, or folders with .md files", path=path)
    return list(documents)


def read_document(path: Path) -> MarkdownDocument:
    """Read and parse a document; a DatasetError names file and line of a wrong marker."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"cannot read the document {path}: {error}", path=path) from error
    source = SourceText(text.replace("\r\n", "\n"))
    blocks, comments = read_markup(source)
    markers = list(_read_markers(comments, source, path))
    spans = tuple(_pair_markers(marker for marker in markers if marker.kind != "allow"))
    return MarkdownDocument(
        path=path,
        source=source,
        spans=spans,
        blocks=tuple(block.hide([(span.start, span.end) for span in spans]) for block in blocks),
        waivers=tuple(_to_waiver(marker) for marker in markers if marker.kind == "allow"),
    )


@attrs.frozen(kw_only=True)
class _Marker:
    """A comment that begins with ``asrlab:``."""

    kind: str
    words: Sequence[str] = ()
    comment: Comment
    line: int
    column: int
    path: Path

    @property
    def options(self) -> dict[str, str]:
        return {name: value for name, _, value in (word.partition("=") for word in self.words)}

    def error(self, message: str) -> DatasetError:
        return DatasetError(f"{self.path}:{self.line}:{self.column}: {message}", path=self.path, line=self.line)


def _read_markers(comments: Iterable[Comment], source: SourceText, path: Path) -> Iterator[_Marker]:
    for comment in comments:
        match = _MARKER.fullmatch(source.text[comment.start : comment.end])
        if match is None:
            continue
        line, column = source.position(comment.start)
        marker = _Marker(kind=match[1], comment=comment, line=line, column=column, path=path)
        if marker.kind not in _KINDS:
            raise marker.error(f"unknown marker asrlab:{marker.kind}; use one of {', '.join(_KINDS)}")
        try:
            yield attrs.evolve(marker, words=shlex.split(match[2]))
        except ValueError as error:
            raise marker.error(f"cannot read the marker ({error}); close its quotes") from error


def _pair_markers(markers: Iterable[_Marker]) -> Iterator[GeneratedSpan]:
    opened: _Marker | None = None
    for marker in markers:
        if (marker.kind == "end") == (opened is None):
            problem = "ends nothing" if opened is None else "begins before the marker above has its asrlab:end"
            raise marker.error(f"the marker asrlab:{marker.kind} {problem}")
        if opened is not None:
            yield _to_span(opened, marker)
        opened = marker if opened is None else None
    if opened is not None:
        raise opened.error(f"the marker asrlab:{opened.kind} has no asrlab:end; add it")


def _to_span(marker: _Marker, end: _Marker) -> GeneratedSpan:
    name = "figure"
    if marker.kind == "begin":
        if not marker.words or "=" in marker.words[0]:
            raise marker.error("the marker asrlab:begin names no block; write, for example, asrlab:begin status")
        if not (marker.comment.is_block and end.comment.is_block):
            raise marker.error("the markers of a block must each be alone on a line")
        name, *words = marker.words
        marker = attrs.evolve(marker, words=words)
    if wrong := [word for word in marker.words if "=" not in word]:
        raise marker.error(f"a marker's options must be name=value, not {wrong[0]!r}")
    return GeneratedSpan(
        name=name,
        options=marker.options,
        start=marker.comment.end,
        end=end.comment.start,
        line=marker.line,
        column=marker.column,
    )


def _to_waiver(marker: _Marker) -> Waiver:
    reason = marker.options.get("reason", "").strip()
    if not reason:
        raise marker.error('the marker asrlab:allow gives no reason; write reason="..."')
    return Waiver(reason=reason, line=marker.line, lines=marker.comment.lines)
