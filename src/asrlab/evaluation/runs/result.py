"""Results of a run: per utterance, per model and overall."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import attrs

from asrlab.control_characters import escape_json
from asrlab.engine.contract import TranscriberInfo
from asrlab.evaluation.metrics import LatencySummary, Profile, Score, TextPair, get_profile, latency_summary, rtfx
from asrlab.evaluation.metrics.wer import count_word_errors
from asrlab.evaluation.runs.manifest import RunManifest
from asrlab.evaluation.runs.records import Failure, GateResult, ModelPass, record_converter
from asrlab.options import Batching
from asrlab.result_display import HtmlTable, Summarized, Tabular, quote
from asrlab.transcript import DecodingPath, PatchStatus, Transcript


@attrs.frozen(kw_only=True)
class RepeatResult:
    """A further transcription of an utterance.

    Attributes:
        text: Recognized text; None if the transcription failed.
        seconds: ``Transcript.timings.total``; None if the transcription failed.
    """

    text: str | None
    seconds: float | None


@attrs.frozen(kw_only=True, repr=False)
class UtteranceResult(Summarized):
    """The result of one utterance with one model.

    Attributes:
        id: Id of the utterance.
        reference: Reference text; None if the data set has none.
        transcript: The first transcript; None if the utterance failed.
        failure: Reason why the utterance failed; None if it did not.
        language: Tag of the spoken language, from the data set, else from the run's options; None if not known.
        speaker: The data set's name for the speaker; None if it has none.
        recording: The data set's name for the recording; None if it has none.
        gates: Results of the quality gates.
        attempts: Number of attempts.
        repeats: Further transcriptions, in order.
        translated: True if the model was asked to translate into English.
    """

    id: str
    reference: str | None
    transcript: Transcript | None = None
    failure: Failure | None = None
    language: str | None = None
    speaker: str | None = None
    recording: str | None = None
    gates: tuple[GateResult, ...] = ()
    attempts: int = 1
    repeats: tuple[RepeatResult, ...] = ()
    translated: bool = False

    @property
    def hypothesis(self) -> str:
        """Recognized text; empty if the utterance failed, so that a failure counts as deletions."""
        return self.transcript.text if self.transcript else ""

    @property
    def pair(self) -> TextPair:
        """Reference and hypothesis, with an empty text for a missing reference."""
        language = "en" if self.translated else self.language
        return TextPair(id=self.id, reference=self.reference or "", hypothesis=self.hypothesis, language=language)

    @property
    def failed_gates(self) -> tuple[GateResult, ...]:
        """Results of the gates that failed."""
        return tuple(result for result in self.gates if result.outcome == "failed")

    def text_in_repeat(self, number: int) -> str:
        """Return the text of repeat *number*, from 0; empty if it failed."""
        return (self.repeats[number - 1].text or "") if number else self.hypothesis

    @property
    def stable(self) -> bool:
        """True if every repeat gave the same text."""
        return all(repeat.text == (self.transcript and self.transcript.text) for repeat in self.repeats)

    def _summary(self) -> str:
        reference = f" (reference {quote(self.reference)})" if self.reference is not None else ""
        return f"{self.id}: {_describe(self.failure) or quote(self.hypothesis)}{reference}"

    def _html_table(self) -> HtmlTable:
        rows = [("failure", _describe(self.failure))] if self.failure else [("hypothesis", self.hypothesis)]
        rows += [("reference", self.reference)] if self.reference is not None else []
        return HtmlTable(caption=(), columns=("", self.id), rows=rows)

    def to_row(self, profile: Profile) -> dict[str, Any]:
        """Return one flat row; its errors under *profile* are None without a reference that is scored."""
        pairs = profile.prepare([self.pair] if self.reference is not None else [])
        counts = next((count_word_errors(pair.reference, pair.hypothesis) for pair in pairs if pair.reference), None)
        counted = {name: getattr(counts, name, None) for name in ("errors", "substitutions", "deletions", "insertions")}
        return {
            "id": self.id,
            "language": self.language,
            "speaker": self.speaker,
            "recording": self.recording,
            "reference": self.reference,
            "hypothesis": self.transcript and self.transcript.text,
            "words": counts and counts.reference_length,
            **counted,
            "wer": counts and counts.rate,
            "duration": self.transcript and self.transcript.duration,
            "seconds": self.transcript and self.transcript.timings.total,
            "failure": self.failure and self.failure.kind,
            "failed_gates": len(self.failed_gates),
            "attempts": self.attempts,
        }


@attrs.frozen(kw_only=True, repr=False)
class ModelResult(Tabular):
    """The result of a data set with one model.

    Attributes:
        model: Full name of the model.
        info: Facts of the loaded model; None if it did not load.
        load_time: Seconds, as ``Transcriber.load_time``; None if the model did not load.
        failure: Reason why the model did not load; None if it did.
        utterances: Results of the utterances with an outcome, in the order of the data set.
        normalizer: Name of the profile that normalizes texts for the scores.
        peak_resident_bytes: Peak memory of the worker with Python, engine and weights; the highest of several workers;
            None if the system does not report it.
        patches: Patches that were applied to other packages.
        backend: Build of torch in the worker, and its GPU; empty if torch was not imported.
        batching: Effective batching settings; None if utterances were decoded one by one.
    """

    model: str
    info: TranscriberInfo | None = None
    load_time: float | None = None
    failure: Failure | None = None
    utterances: tuple[UtteranceResult, ...] = ()
    normalizer: str = "none"
    peak_resident_bytes: int | None = None
    patches: tuple[PatchStatus, ...] = ()
    backend: str = ""
    batching: Batching | None = None
    _COLUMNS: ClassVar[tuple[str, ...]] = (
        *("model", "device", "compute_type", "id", "language", "speaker", "recording", "reference", "hypothesis"),
        *("words", "errors", "substitutions", "deletions", "insertions", "wer", "duration", "seconds", "failure"),
        *("failed_gates", "attempts"),
    )

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one row an utterance: texts, errors of the first transcription, seconds of audio and of work."""
        device, compute_type = (str(self.info.device), self.info.compute_type) if self.info else (None, None)
        facts = {"model": self.model, "device": device, "compute_type": compute_type}
        profile = get_profile(self.normalizer)
        return [facts | utterance.to_row(profile) for utterance in self.utterances]

    def _summary(self) -> str:
        if self.failure:
            return f"{self.model}: did not load, {_describe(self.failure)}"
        return (
            f"{self.model} on {self.info and self.info.device}: {len(self.utterances)} utterances, {self.failed} failed"
        )

    def _html_table(self) -> HtmlTable:
        return HtmlTable(caption=(), columns=_HTML_COLUMNS, rows=[_html_row(self)])

    @cached_property
    def score(self) -> Score | None:
        """Score of the utterances with a reference, failures counted as deletions; None if there are none."""
        return self._score(self.utterances)

    @cached_property
    def finished_score(self) -> Score | None:
        """Score of the utterances with a reference that did not fail; None if there are none."""
        if not self.failed:
            return self.score
        return self._score([utterance for utterance in self.utterances if utterance.transcript])

    def _score(self, utterances: Sequence[UtteranceResult]) -> Score | None:
        pairs = [utterance.pair for utterance in utterances if utterance.reference is not None]
        return get_profile(self.normalizer).score(pairs) if pairs else None

    @property
    def failed(self) -> int:
        """Number of utterances without a transcript."""
        return sum(utterance.transcript is None for utterance in self.utterances)

    @property
    def failed_gates(self) -> int:
        """Number of failed gates over all utterances."""
        return sum(len(utterance.failed_gates) for utterance in self.utterances)

    @property
    def decoding_paths(self) -> tuple[DecodingPath, ...]:
        """``Transcript.decoding`` of each utterance that has one."""
        transcripts = [utterance.transcript for utterance in self.utterances if utterance.transcript]
        return tuple(transcript.decoding for transcript in transcripts if transcript.decoding is not None)

    @property
    def unstable(self) -> tuple[str, ...]:
        """Ids of the utterances whose repeats differ in text."""
        return tuple(utterance.id for utterance in self.utterances if not utterance.stable)

    @cached_property
    def wer_by_repeat(self) -> tuple[float, ...]:
        """WER of each repeat, in order; empty without references, or if an utterance lacks a repeat."""
        scored = [utterance for utterance in self.utterances if utterance.reference is not None]
        rates = []
        for number in self._repeat_numbers():
            if not all(number <= len(utterance.repeats) for utterance in scored):
                return ()
            pairs = (attrs.evolve(utterance.pair, hypothesis=utterance.text_in_repeat(number)) for utterance in scored)
            score = get_profile(self.normalizer).score(pairs) if number else self.score
            if score is None or score.wer is None:
                return ()
            rates.append(score.wer)
        return tuple(rates)

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio of all transcribed utterances."""
        return sum(utterance.transcript.duration for utterance in self.utterances if utterance.transcript)

    @property
    def rtfx(self) -> float | None:
        """Seconds of audio per second of work, the median of the repeats; see ``asrlab.evaluation.metrics.rtfx``."""
        return median(speeds) if (speeds := self.rtfx_by_repeat) else None

    @property
    def rtfx_by_repeat(self) -> tuple[float, ...]:
        """Seconds of audio per second of work in each repeat, in order."""
        repeats = map(self._times, self._repeat_numbers())
        speeds = (rtfx(sum(audio for audio, _ in times), sum(spent for _, spent in times)) for times in repeats)
        return tuple(speed for speed in speeds if speed)

    @property
    def latencies(self) -> tuple[float, ...]:
        """Seconds that each transcription took, over all repeats."""
        return tuple(spent for number in self._repeat_numbers() for _, spent in self._times(number))

    @property
    def latency(self) -> LatencySummary:
        """Summary of `latencies`; see ``asrlab.evaluation.metrics.LatencySummary``."""
        return latency_summary(self.latencies)

    def _repeat_numbers(self) -> range:
        return range(1 + max((len(utterance.repeats) for utterance in self.utterances), default=0))

    def _times(self, number: int) -> list[tuple[float, float]]:
        """Return audio duration and seconds of work of each utterance transcribed in repeat *number*, from 0."""
        times = []
        for utterance in self.utterances:
            if utterance.transcript is not None and number <= len(utterance.repeats):
                first = utterance.transcript.timings.total
                seconds = utterance.repeats[number - 1].seconds if number else first
                times += [(utterance.transcript.duration, seconds)] if seconds is not None else []
        return times


def _describe(failure: Failure | None) -> str:
    return f"{failure.kind}: {failure.message}" if failure else ""


_HTML_COLUMNS = ("model", "device", "utterances", "failed", "WER", "errors/words", "RTFx")


def _html_row(model: ModelResult) -> tuple[object, ...]:
    if model.info is None:
        return model.model, _describe(model.failure) or "not loaded"
    words = model.score.words if model.score else None
    wer = "-" if words is None or words.rate is None else f"{100 * words.rate:.2f} %"
    speed = model.rtfx
    name = f"{model.model} (random weights)" if model.info.model.weights_random else model.model
    return (
        *(name, f"{model.info.device} ({model.info.compute_type})", len(model.utterances), model.failed),
        *(wer, f"{words.errors}/{words.reference_length}" if words else "-", f"{speed:.2f}x" if speed else "-"),
    )


@attrs.frozen(kw_only=True, repr=False)
class BenchResult(Tabular):
    """The result of a run: a data set with several models.

    Attributes:
        dataset: Name of the data set.
        models: Results of the models, in the order in which they ran.
        seconds: Duration of all sessions that were not killed, by monotonic clocks.
        run: Path of the folder or file with the records.
        manifest: Facts from before the run began.
        load_averages: Load of the machine before each session, over 1, 5 and 15 minutes, if the system reports it.
        complete: True if every utterance has its outcome with every model that loaded.
        passes: Passes of models through the data set with the load of the machine, in the order in which they ended;
            empty in runs before asrlab recorded them.
    """

    dataset: str
    models: tuple[ModelResult, ...]
    seconds: float
    run: Path
    manifest: RunManifest
    load_averages: tuple[tuple[float, ...], ...] = ()
    complete: bool = True
    passes: tuple[ModelPass, ...] = ()
    _COLUMNS: ClassVar[tuple[str, ...]] = ("run", "dataset", *ModelResult._COLUMNS)  # noqa: SLF001 - a base of both

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one row an utterance and model; see `ModelResult.to_dicts`."""
        facts = {"run": self.manifest.run, "dataset": self.dataset}
        return [facts | row for model in self.models for row in model.to_dicts()]

    def _summary(self) -> str:
        names = ", ".join(model.model for model in self.models)
        state = "" if self.complete else ", not complete"
        return f"{self.manifest.run}: {self.dataset} with {names}; {self.failed} failed{state}"

    def _html_table(self) -> HtmlTable:
        return HtmlTable(caption=(self._summary(),), columns=_HTML_COLUMNS, rows=list(map(_html_row, self.models)))

    @property
    def failed(self) -> int:
        """Number of utterances without a transcript, over all models."""
        return sum(model.failed for model in self.models)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `to_json` as JSON values, for a web framework or a database."""
        content: dict[str, Any] = json.loads(self.to_json())
        return content

    def to_json(self) -> str:
        """Return manifest, model facts, figures and utterances as one JSON object."""
        plain = record_converter().unstructure(
            {
                "run": str(self.run),
                "dataset": self.dataset,
                "seconds": self.seconds,
                "complete": self.complete,
                "failed": self.failed,
                "passes": self.passes,
                "manifest": self.manifest.to_plain(),
                "models": [_plain_model(model) for model in self.models],
            }
        )
        return escape_json(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"


def _plain_model(model: ModelResult) -> dict[str, Any]:
    return {
        "model": model.model,
        "info": model.info,
        "backend": model.backend,
        "batching": model.batching,
        "decoding_paths": dict(Counter(map(str, model.decoding_paths)).most_common()),
        "failure": model.failure,
        "score": model.score and _plain_score(model.score),
        "finished_score": model.finished_score and _plain_score(model.finished_score),
        "audio_seconds": model.audio_seconds,
        "rtfx": model.rtfx,
        "rtfx_by_repeat": model.rtfx_by_repeat,
        "unstable": model.unstable,
        "wer_by_repeat": model.wer_by_repeat if model.unstable else [],
        "latency_seconds": model.latency,
        "load_seconds": model.load_time,
        "peak_resident_bytes": model.peak_resident_bytes,
        "failed_gates": model.failed_gates,
        "utterances": [
            {
                "id": utterance.id,
                "reference": utterance.reference,
                "hypothesis": utterance.transcript and utterance.transcript.text,
                "failure": utterance.failure,
                "gates": utterance.gates,
                "attempts": utterance.attempts,
                "repeats": utterance.repeats,
                "transcript": utterance.transcript and utterance.transcript.to_dict(),
            }
            for utterance in model.utterances
        ],
    }


def _plain_score(score: Score) -> dict[str, Any]:
    rates = {"wer": score.wer, "cer": score.cer, "mer": score.mer, "wil": score.wil}
    return {**rates, **attrs.asdict(score)}
