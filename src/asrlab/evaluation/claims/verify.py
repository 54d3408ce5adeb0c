"""The checks of documents against records, and of a recorded run against its repetition on this machine."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from asrlab.environment import Machine
from asrlab.errors import DatasetError, EngineNotFoundError, WeightsError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.claims.blocks import RenderContext, render_block, render_figure
from asrlab.evaluation.claims.documents import GeneratedSpan, MarkdownDocument, Waiver, find_documents, read_document
from asrlab.evaluation.claims.evidence import Evidence, SupportMatrix, build_support_matrix, read_evidence
from asrlab.evaluation.claims.lint import LintFinding, lint_document
from asrlab.evaluation.reports.formatting import format_percent, format_rtfx
from asrlab.evaluation.runs.bench import bench
from asrlab.evaluation.runs.fingerprint import dataset_fingerprint, describe_utterances
from asrlab.evaluation.runs.load import load_run
from asrlab.evaluation.runs.manifest import ModelFacts, RunManifest
from asrlab.evaluation.runs.result import ModelResult
from asrlab.loading import fetch_weights_to_load, model_info
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry

WER_TOLERANCE = 0.005
"""Largest difference of the two WERs, as a fraction; one word of the references if that is more."""


@attrs.frozen(kw_only=True)
class Verification:
    """The result of checking documents, with the number of generated blocks and figures, and the updated documents."""

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


def verify(paths: Iterable[Path], *, evidence: Path | None = None, write: bool = False) -> Verification:
    """Check documents against records.

    Args:
        paths: Documents, and folders with ``.md`` files.
        evidence: The folder of records. None uses `find_evidence`.
        write: Update generated text instead of reporting how it differs. Other text is never changed.

    Raises:
        DatasetError: If a document, a marker in it or a record cannot be read.
        OutputError: If a document cannot be written.
    """
    files = find_documents(paths)
    if evidence is not None and not evidence.is_dir():
        raise DatasetError(f"folder {evidence} not found; name the folder with the records", path=evidence)
    records = read_evidence(evidence or find_evidence(files))
    support = build_support_matrix(records)
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
    try:
        if span.name == "figure":
            return render_figure(span.options, evidence)
        context = RenderContext(document=document.path, evidence=evidence, support=support)
        return render_block(span.name, span.options, context)
    except DatasetError as error:
        message = f"{document.path}:{span.line}:{span.column}: {error.message}"
        raise DatasetError(message, path=document.path, line=span.line) from error


def _check(document: MarkdownDocument, evidence: Evidence, support: SupportMatrix) -> list[LintFinding]:
    rendered = ((span, _render(span, document, evidence, support)) for span in document.spans)
    findings = [_to_finding(document, span, text) for span, text in rendered if text != document.span_text(span)]
    findings += lint_document(document, evidence, support)
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


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


@attrs.frozen(kw_only=True)
class ModelReproduction:
    """The results of one model in the recorded run and in the repetition."""

    model: str
    then: ModelResult
    now: ModelResult

    @property
    def same_texts(self) -> int:
        """Number of utterances with equal texts. An utterance that failed in both runs counts."""
        now = {utterance.id: utterance.transcript and utterance.transcript.text for utterance in self.now.utterances}
        return sum(
            utterance.id in now and now[utterance.id] == (utterance.transcript and utterance.transcript.text)
            for utterance in self.then.utterances
        )

    @property
    def tolerance(self) -> float:
        """The largest accepted difference of the two WERs, as a fraction."""
        words = self.then.score.words.reference_length if self.then.score else 0
        return max(WER_TOLERANCE, 1 / words if words else 0.0)

    @property
    def wer_difference(self) -> float | None:
        """The new WER minus the recorded WER, as a fraction; None if one of them is missing."""
        then, now = self.then.score, self.now.score
        if then is None or now is None or then.wer is None or now.wer is None:
            return None
        return now.wer - then.wer

    @property
    def speed_ratio(self) -> float | None:
        """Ratio of the new RTFx to the recorded RTFx. Reported, but not part of the verdict."""
        return self.now.rtfx / self.then.rtfx if self.now.rtfx and self.then.rtfx else None

    @property
    def reproduced(self) -> bool:
        """True if loading ended alike, no more utterances failed, and the WER agrees, or without a WER all texts."""
        if (self.then.info is None) != (self.now.info is None) or self.now.failed > self.then.failed:
            return False
        if self.wer_difference is None:
            return self.same_texts == len(self.then.utterances)
        return abs(self.wer_difference) <= self.tolerance + 1e-12

    @property
    def differences(self) -> tuple[str, ...]:
        """A text for each other difference: device, number format, threads, backend, packages."""
        if self.then.info is None or self.now.info is None:
            return ()
        then, now = self.then.info, self.now.info
        before, after = ({package.name: package.version for package in info.packages} for info in (then, now))
        pairs = (
            ("device", str(then.device), str(now.device)),
            ("compute type", then.compute_type, now.compute_type),
            ("threads", then.threads, now.threads),
            ("backend", self.then.backend, self.now.backend),
            *((name, before.get(name, "none"), after.get(name, "none")) for name in sorted({*before, *after})),
        )
        return tuple(f"{name}: {old} then, {new} now" for name, old, new in pairs if old != new)

    def lines(self) -> Iterator[str]:
        """Yield the comparison as lines of text."""
        yield f"{self.model}: {'reproduced' if self.reproduced else 'NOT REPRODUCED'}"
        for side, result in (("then", self.then), ("now", self.now)):
            if result.info is None:
                yield f"  not loaded {side}: {result.failure.message if result.failure else ''}"
        failed = f"failed: {self.now.failed}, then {self.then.failed}"
        yield f"  texts equal: {self.same_texts} of {len(self.then.utterances)}; {failed}"
        if self.wer_difference is not None and self.now.score:
            yield (
                f"  WER: {format_percent(self.now.score.wer)}, {100 * self.wer_difference:+.2f} points from then; "
                f"tolerance {100 * self.tolerance:.2f} points"
            )
        if self.speed_ratio is not None:
            speeds = f"{format_rtfx(self.now.rtfx)}, then {format_rtfx(self.then.rtfx)}"
            yield f"  RTFx: {speeds}: {self.speed_ratio:.2f} times; not part of the verdict"
        yield from (f"  {difference}" for difference in self.differences)


@attrs.frozen(kw_only=True)
class ReproductionReport:
    """An exported run and its repetition."""

    record: Path
    then: RunManifest
    now: RunManifest
    models: tuple[ModelReproduction, ...]

    @property
    def reproduced(self) -> bool:
        """True if every model was reproduced."""
        return all(model.reproduced for model in self.models)

    @property
    def machine_changes(self) -> tuple[str, ...]:
        """A text for each difference of the two machines."""
        then, now = attrs.asdict(self.then.machine), attrs.asdict(self.now.machine)
        return tuple(f"{name}: {then[name]} then, {now[name]} now" for name in then if then[name] != now[name])

    def lines(self) -> Iterator[str]:
        """Yield the report as lines of text."""
        request = self.then.request
        yield f"{self.record}: {request.dataset}, {self.then.dataset.utterances} utterances, of {self.then.created}"
        yield f"machine then: {_format_machine(self.then.machine)}"
        yield f"machine now: {_format_machine(self.now.machine) if self.machine_changes else 'the same'}"
        for model in self.models:
            yield from model.lines()


def rerun(record: Path, *, device: str | None = None, offline: bool = False) -> ReproductionReport:
    """Repeat an exported run with the same data set, models and options.

    Args:
        record: The exported run, or a run's folder.
        device: The device. None uses the device that the recorded run requested.
        offline: Fetch no weights over the network.

    Raises:
        DatasetError: If the record cannot be read, or its data set or a model is not available here.
        WeightsError: If the weights here differ from the recorded ones.
        AsrlabError: As `asrlab.evaluation.bench` does.
    """
    host = PluginHost()
    then = load_run(record)
    request = then.manifest.request
    dataset = _check_dataset(record, then.manifest, host)
    for model in then.manifest.models:
        _check_weights(record, model, host, offline=offline)
    with TemporaryDirectory(prefix="asrlab-rerun-") as folder:
        again = attrs.evolve(request, device=device or request.device)
        options = attrs.asdict(again, recurse=False, filter=lambda field, _: field.name != "dataset")
        now = bench(
            dataset,
            **options,
            run=Path(folder) / "run",
            offline=offline,
            host=host,
        )
        models = [
            # Score both with one profile: the default choice by language may have changed since.
            ModelReproduction(model=before.model, then=before, now=attrs.evolve(after, normalizer=before.normalizer))
            for before, after in zip(then.models, now.models, strict=True)
        ]
        return ReproductionReport(record=record, then=then.manifest, now=now.manifest, models=tuple(models))


def _check_dataset(record: Path, manifest: RunManifest, host: PluginHost) -> str:
    """Return the name of the data set, with ``~``, which exports write for the home directory, expanded."""
    request = manifest.request
    if request.dataset is None:
        raise DatasetError(f"cannot repeat {record}: its data set was passed as an object", path=record)
    name, external = request.dataset, request.allow_external_audio
    if name.startswith("~"):
        name = str(Path(name).expanduser())
    try:
        dataset = load_dataset(name, format=request.format, allow_external_audio=external, host=host)
        is_same = dataset_fingerprint(describe_utterances(dataset)) == manifest.dataset.fingerprint
    except DatasetError as error:
        raise DatasetError(f"cannot repeat {record}: its data set is not available ({error.message})") from error
    if not is_same:
        raise DatasetError(
            f"cannot repeat {record}: the data set {request.dataset!r} here differs from the recorded one (by its "
            "fingerprint); get the same audio and references",
            path=record,
        )
    return name


def _check_weights(record: Path, model: ModelFacts, host: PluginHost, *, offline: bool) -> None:
    name, recorded = model.info.name, model.info.weights_sha256
    try:
        resolved = Registry(host).resolve(name)
    except EngineNotFoundError as error:
        message = f"cannot repeat {record}: {error.message}; a record does not hold the weights of a local folder"
        raise DatasetError(message, path=record) from error
    here = model_info(resolved, fetch_weights_to_load(resolved, offline=offline)).weights_sha256
    if here != recorded:
        raise WeightsError(
            f"cannot repeat {record}: the weights of {name} here have the sha256 {here}, the recorded ones {recorded}; "
            "fetch those",
            model=name,
            expected_sha256=recorded or "",
            actual_sha256=here or "",
        )


def _format_machine(machine: Machine) -> str:
    return f"{machine.system}, {machine.architecture}, {machine.processor}, {machine.cores} cores, {machine.python}"
