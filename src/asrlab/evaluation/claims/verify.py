"""The check of documents against records: generated text is up to date, other text claims no more than they show."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.claims.blocks import RenderContext, render_block
from asrlab.evaluation.claims.documents import (
    GeneratedSpan,
    MarkdownDocument,
    Waiver,
    find_documents,
    read_document,
)
from asrlab.evaluation.claims.evidence import Evidence, read_evidence, render_figure
from asrlab.evaluation.claims.lint import LintFinding, lint_document
from asrlab.evaluation.claims.support_status import SupportMatrix, build_support_matrix
from asrlab.plugins.manager import PluginHost


@attrs.frozen(kw_only=True)
class Verification:
    """The result of checking documents.

    Attributes:
        documents: The documents that were read.
        n_generated: Number of generated blocks and figures in them.
        records: The names of the records.
        findings: The parts of the documents that the records contradict or do not back, in order.
        waivers: The waivers in the documents, by document.
        written: The documents that were updated.
    """

    documents: tuple[Path, ...]
    n_generated: int
    records: tuple[str, ...]
    findings: tuple[LintFinding, ...]
    waivers: tuple[tuple[Path, Waiver], ...]
    written: tuple[Path, ...] = ()


def find_evidence(documents: Iterable[Path]) -> Path:
    """Return the folder ``evidence`` beside the first document or above it, or else in the working directory."""
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
    """Check documents against records.

    Args:
        paths: Documents, and folders with ``.md`` files.
        evidence: The folder of records. None uses `find_evidence`.
        write: Update generated text instead of reporting how it differs. Other text is never changed.
        host: The plugins whose engines a status table lists; see `build_support_matrix`.

    Raises:
        DatasetError: If a document, a marker in it or a record cannot be read.
        OutputError: If a document cannot be written.
    """
    files = find_documents(paths)
    if evidence is not None and not evidence.is_dir():
        raise DatasetError(f"folder {evidence} not found; name the folder with the records", path=evidence)
    records = read_evidence(evidence or find_evidence(files))
    support = build_support_matrix(records, host)
    documents = [read_document(path) for path in files]
    written = [document.path for document in documents if write and _update(document, records, support)]
    documents = [read_document(document.path) if document.path in written else document for document in documents]
    findings = [finding for document in documents for finding in _check(document, records, support)]
    return Verification(
        documents=tuple(files),
        n_generated=sum(len(document.spans) for document in documents),
        records=tuple(sorted([*records.runs, *records.matrices])),
        findings=tuple(findings),
        waivers=tuple((document.path, waiver) for document in documents for waiver in document.waivers),
        written=tuple(written),
    )


def _update(document: MarkdownDocument, evidence: Evidence, support: SupportMatrix) -> bool:
    """Regenerate the spans; return True if the document changed."""
    text = document.replace_spans((span, _render(span, document, evidence, support)) for span in document.spans)
    if text == document.source.text:
        return False
    document.write(text)
    return True


def _render(span: GeneratedSpan, document: MarkdownDocument, evidence: Evidence, support: SupportMatrix) -> str:
    context = RenderContext(document=document.path, evidence=evidence, support=support)
    options = dict(span.options)
    try:
        return render_figure(options, evidence) if span.name == "figure" else render_block(span.name, options, context)
    except DatasetError as error:
        message = f"{document.path}:{span.line}:{span.column}: {error.message}"
        raise DatasetError(message, path=document.path, line=span.line) from error


def _check(document: MarkdownDocument, evidence: Evidence, support: SupportMatrix) -> list[LintFinding]:
    findings = [*_compare_spans(document, evidence, support), *lint_document(document, evidence, support)]
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


def _compare_spans(document: MarkdownDocument, evidence: Evidence, support: SupportMatrix) -> Iterator[LintFinding]:
    for span in document.spans:
        expected = _render(span, document, evidence, support)
        if document.span_text(span) != expected:
            yield _to_finding(document, span, expected)


def _to_finding(document: MarkdownDocument, span: GeneratedSpan, expected: str) -> LintFinding:
    """Return the finding for an outdated span: at a figure's text, or at the first line of a block that differs."""
    line, column = document.source.position(span.start)
    text, diff, message = document.span_text(span), "", f"the records give {expected!r}"
    if span.name != "figure":
        old, new = document.source.lines, document.replace_spans([(span, expected)]).split("\n")
        line = 1 + next(number for number, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1])
        column, text, message = 1, span.name, "the block differs from the records"
        names = (f"{document.path} (present)", f"{document.path} (from the records)")
        diff = "\n".join(difflib.unified_diff(old, new, *names, n=0, lineterm=""))
    return LintFinding(
        kind="differs",
        path=document.path,
        line=line,
        column=column,
        text=text,
        message=message,
        cure=f"run: asrlab verify --write {document.path}",
        diff=diff,
    )
