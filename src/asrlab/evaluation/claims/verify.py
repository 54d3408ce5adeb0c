"""Holds documents against records: what is generated must be what the records give, and the rest must not say more."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.claims.blocks import render_block
from asrlab.evaluation.claims.documents import GeneratedSpan, MarkdownDocument, Waiver, find_documents, read_document
from asrlab.evaluation.claims.evidence import Evidence, read_evidence
from asrlab.evaluation.claims.figures import render_figure
from asrlab.evaluation.claims.lint import lint_document
from asrlab.evaluation.claims.markdown import RenderContext
from asrlab.evaluation.claims.support_status import SupportMatrix, build_support_matrix
from asrlab.plugins.manager import PluginHost


@attrs.frozen(kw_only=True)
class ClaimFinding:
    """A place where a document says something else than the records.

    Attributes:
        kind: ``differs`` for what is generated; ``figure``, ``comparison`` or ``status`` for what no record backs.
        path: The document.
        line: Counted from 1.
        column: Counted from 1.
        text: What stands there.
        message: What is wrong.
        cure: What to do.
        diff: Of what is generated: from what stands there to what the records give, as a unified diff.
    """

    kind: Literal["differs", "figure", "comparison", "status"]
    path: Path
    line: int
    column: int
    text: str
    message: str
    cure: str
    diff: str = ""

    def __str__(self) -> str:
        """On one line, as compilers tell of errors; the diff below it."""
        told = f"{self.path}:{self.line}:{self.column}: {self.kind}: {self.text!r}: {self.message}; {self.cure}"
        return f"{told}\n{self.diff}" if self.diff else told


@attrs.frozen(kw_only=True)
class AppliedWaiver:
    """Figures that a document's author answers for.

    Attributes:
        path: The document.
        line: The marker's, counted from 1.
        reason: In the author's words.
        covers: The figures.
    """

    path: Path
    line: int
    reason: str
    covers: tuple[str, ...]

    def __str__(self) -> str:
        """On one line."""
        return f"{self.path}:{self.line}: allowed: {', '.join(self.covers) or 'nothing; take it out'} ({self.reason})"


@attrs.frozen(kw_only=True)
class Verification:
    """What became of documents.

    Attributes:
        documents: Those that were read.
        ties: How many blocks and figures in them are generated.
        records: The records that there are.
        findings: Where they say something else than the records, in order.
        allowed: What was let pass.
        written: The documents that were brought up to date.
    """

    documents: tuple[Path, ...]
    ties: int
    records: tuple[str, ...]
    findings: tuple[ClaimFinding, ...]
    allowed: tuple[AppliedWaiver, ...]
    written: tuple[Path, ...] = ()


def find_evidence(documents: Iterable[Path]) -> Path:
    """The folder ``evidence`` beside the first document or above it; the one here if there is none.

    Args:
        documents: Files or folders.
    """
    for document in documents:
        for folder in (document.resolve(), *document.resolve().parents):
            if (folder / "evidence").is_dir():
                return folder / "evidence"
    return Path("evidence")


def verify(
    paths: Iterable[Path],
    *,
    evidence: Path | None = None,
    write: bool = False,
    host: PluginHost | None = None,
) -> Verification:
    """Hold documents against records.

    Args:
        paths: Documents, and folders with ``.md`` files.
        evidence: The folder of records; None looks for ``evidence`` beside the documents and above.
        write: Bring what is generated up to date instead of telling how it differs. Nothing else is ever changed.
        host: The plugins whose engines a table of statuses lists; see ``build_support_matrix``.

    Raises:
        DatasetError: A document, a marker in it or a record cannot be read.
        OutputError: A document cannot be written.
    """
    files = find_documents(paths)
    if evidence is not None and not evidence.is_dir():
        raise DatasetError(f"there is no folder {evidence}; name the one with the records", path=evidence)
    records = read_evidence(evidence or find_evidence(files))
    board = build_support_matrix(records, host)
    documents = [read_document(path) for path in files]
    written = [document.path for document in documents if write and _write(document, records, board)]
    documents = [read_document(document.path) if document.path in written else document for document in documents]
    findings = [finding for document in documents for finding in _findings(document, records, board)]
    return Verification(
        documents=tuple(files),
        ties=sum(len(document.ties) for document in documents),
        records=tuple(sorted([*(run.name for run in records.runs), *(each.name for each in records.matrices)])),
        findings=tuple(findings),
        allowed=tuple(_allowed(document.path, each) for document in documents for each in document.allowances),
        written=tuple(written),
    )


def _allowed(path: Path, allowance: Waiver) -> AppliedWaiver:
    return AppliedWaiver(path=path, line=allowance.line, reason=allowance.reason, covers=tuple(allowance.covers))


def _write(document: MarkdownDocument, evidence: Evidence, board: SupportMatrix) -> bool:
    """Bring what is generated up to date; whether that changed anything."""
    text = document.with_texts((tie, _generated(tie, document, evidence, board)) for tie in document.ties)
    if text == document.source.text:
        return False
    document.write(text)
    return True


def _generated(tie: GeneratedSpan, document: MarkdownDocument, evidence: Evidence, board: SupportMatrix) -> str:
    page = RenderContext(document=document.path, evidence=evidence, board=board)
    options = dict(tie.options)
    try:
        return render_figure(options, evidence) if tie.name == "figure" else render_block(tie.name, options, page)
    except DatasetError as error:
        told = f"{document.path}:{tie.line}:{tie.column}: {error.message}"
        raise DatasetError(told, path=document.path, line=tie.line) from error


def _findings(document: MarkdownDocument, evidence: Evidence, board: SupportMatrix) -> Iterator[ClaimFinding]:
    found = [*_differences(document, evidence, board), *_flags(document, evidence, board)]
    yield from sorted(found, key=lambda finding: (finding.line, finding.column))


def _differences(document: MarkdownDocument, evidence: Evidence, board: SupportMatrix) -> Iterator[ClaimFinding]:
    for tie in document.ties:
        now, right = document.text_of(tie), _generated(tie, document, evidence, board)
        if now != right:
            yield _difference(document, tie, now, right)


def _difference(document: MarkdownDocument, tie: GeneratedSpan, now: str, right: str) -> ClaimFinding:
    """A figure stands where its text does; a block where its first line that differs does."""
    line, column = document.source.place(tie.start)
    text, diff, told = now, "", f"the records give {right!r}"
    if tie.name != "figure":
        old, new = document.source.lines, document.with_texts([(tie, right)]).split("\n")
        line = 1 + next(number for number, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1])
        column, text, told = 1, tie.name, "the block is not what the records give"
        names = (f"{document.path} as it is", f"{document.path} by the records")
        diff = "\n".join(difflib.unified_diff(old, new, *names, n=0, lineterm=""))
    return ClaimFinding(
        kind="differs",
        path=document.path,
        line=line,
        column=column,
        text=text,
        message=told,
        cure=f"run: asrlab verify --write {document.path}",
        diff=diff,
    )


def _flags(document: MarkdownDocument, evidence: Evidence, board: SupportMatrix) -> Iterator[ClaimFinding]:
    for flag in lint_document(document, evidence, board):
        line, column = document.source.place(flag.offset)
        yield ClaimFinding(
            kind=flag.kind,
            path=document.path,
            line=line,
            column=column,
            text=" ".join(flag.text.split()),
            message=flag.message,
            cure=flag.cure,
        )
