"""What a bench gives back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import attrs

from asrlab.control_characters import escape_json
from asrlab.engine.contract import TranscriberInfo
from asrlab.evaluation.metrics import LatencySummary, Score, TextPair, get_profile, latency_summary, rtfx
from asrlab.evaluation.runs.manifest import RunManifest
from asrlab.evaluation.runs.records import Failure, GateResult, ModelPass
from asrlab.options import Batching
from asrlab.transcript import DecodingPath, PatchStatus, Transcript


@attrs.frozen(kw_only=True)
class RepeatResult:
    """One more transcription of the same utterance.

    Attributes:
        text: What was recognized; None if it failed.
        seconds: ``Transcript.timings.total``; None likewise.
    """

    text: str | None
    seconds: float | None


@attrs.frozen(kw_only=True)
class UtteranceResult:
    """One utterance through one model.

    Attributes:
        id: The utterance's id.
        reference: What was said; None if the data set does not tell.
        transcript: The result, the first one where it was repeated; None if it failed.
        failure: Why it failed; None if it did not.
        language: Tag of the speech: as the data set tells, else as the run's options do; None if neither does.
        speaker: As the data set tells; None if it does not.
        recording: Likewise.
        gates: What each gate says.
        attempts: How often it was tried.
        repeats: The further ones, in order.
        translated: Whether the model was asked for English, whatever the speech.
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
        """The text that was recognized; empty where it failed, so that a failure counts as deletions."""
        return self.transcript.text if self.transcript else ""

    @property
    def pair(self) -> TextPair:
        """Reference and hypothesis; a missing reference is empty."""
        language = "en" if self.translated else self.language
        return TextPair(id=self.id, reference=self.reference or "", hypothesis=self.hypothesis, language=language)

    @property
    def failed_gates(self) -> tuple[GateResult, ...]:
        """Those that found something."""
        return tuple(verdict for verdict in self.gates if verdict.outcome == "failed")

    def text_of_pass(self, number: int) -> str:
        """Return what was recognized in pass *number*, from 0; empty where it failed."""
        return (self.repeats[number - 1].text or "") if number else self.hypothesis

    @property
    def stable(self) -> bool:
        """Whether every repeat gave the same text."""
        return all(repeat.text == (self.transcript and self.transcript.text) for repeat in self.repeats)


@attrs.frozen(kw_only=True)
class ModelResult:
    """A whole data set through one model.

    Attributes:
        model: Its full name.
        info: The facts of the loaded model; None if it did not load.
        load_time: Seconds, as ``Transcriber.load_time``; None likewise.
        failure: Why it did not load; None if it did.
        utterances: Those with an outcome, in the order of the data set.
        normalizer: Name of the profile that brings texts into one spelling for the scores.
        peak_resident_bytes: Of the process that ran the model, from its start to its last answer, with Python, the
            engine and the weights; the highest where a crash made a second process necessary; None where the system
            does not tell.
        patches: What was changed in other packages for it.
        backend: The build of torch in its process, and its GPU; empty where none was imported.
        batching: How utterances went through it together; None where they went one by one.
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

    @cached_property
    def score(self) -> Score | None:
        """Over the utterances that have a reference; a failed one counts as deletions. None if there are none."""
        return self._score(self.utterances)

    @cached_property
    def finished_score(self) -> Score | None:
        """Over those of them that did not fail."""
        if not self.failed:
            return self.score
        return self._score([utterance for utterance in self.utterances if utterance.transcript])

    def _score(self, utterances: Sequence[UtteranceResult]) -> Score | None:
        pairs = [utterance.pair for utterance in utterances if utterance.reference is not None]
        return get_profile(self.normalizer).score(pairs) if pairs else None

    @property
    def failed(self) -> int:
        """How many utterances have no transcript."""
        return sum(utterance.transcript is None for utterance in self.utterances)

    @property
    def failed_gates(self) -> int:
        """How many verdicts of gates found something, over all utterances."""
        return sum(len(utterance.failed_gates) for utterance in self.utterances)

    @property
    def decoding_paths(self) -> tuple[DecodingPath, ...]:
        """``Transcript.decoding`` of each utterance that has one."""
        transcripts = [utterance.transcript for utterance in self.utterances if utterance.transcript]
        return tuple(transcript.decoding for transcript in transcripts if transcript.decoding is not None)

    @property
    def unstable(self) -> tuple[str, ...]:
        """The ids of utterances whose repeats gave another text."""
        return tuple(utterance.id for utterance in self.utterances if not utterance.stable)

    @cached_property
    def wer_of_repeats(self) -> tuple[float, ...]:
        """Return the WER of each pass, in order; empty without references, or where an utterance lacks a pass."""
        scored = [utterance for utterance in self.utterances if utterance.reference is not None]
        rates = []
        for number in self._rounds():
            if not all(number <= len(utterance.repeats) for utterance in scored):
                return ()
            pairs = (attrs.evolve(each.pair, hypothesis=each.text_of_pass(number)) for each in scored)
            counted = get_profile(self.normalizer).score(pairs) if number else self.score
            if counted is None or counted.wer is None:
                return ()
            rates.append(counted.wer)
        return tuple(rates)

    @property
    def audio_seconds(self) -> float:
        """Duration of all transcribed utterances."""
        return sum(transcript.duration for transcript in self._transcripts())

    @property
    def rtfx(self) -> float | None:
        """Seconds of audio per second of work, the median of `rtfx_of_repeats`; see ``asrlab.evaluation.metrics.rtfx``."""
        return median(speeds) if (speeds := self.rtfx_of_repeats) else None

    @property
    def rtfx_of_repeats(self) -> tuple[float, ...]:
        """The same of each time the whole data set was transcribed, in order."""
        rounds = map(self._times, self._rounds())
        speeds = (rtfx(sum(audio for audio, _ in times), sum(spent for _, spent in times)) for times in rounds)
        return tuple(speed for speed in speeds if speed)

    @property
    def latencies(self) -> tuple[float, ...]:
        """Seconds that each transcribed utterance took, every repeat."""
        return tuple(spent for number in self._rounds() for _, spent in self._times(number))

    @property
    def latency(self) -> LatencySummary:
        """Of `latencies`; see ``asrlab.evaluation.metrics.LatencySummary``."""
        return latency_summary(self.latencies)

    def _rounds(self) -> range:
        return range(1 + max((len(utterance.repeats) for utterance in self.utterances), default=0))

    def _times(self, number: int) -> list[tuple[float, float]]:
        """Duration and seconds of work of each utterance that was transcribed the given time, the first being 0."""
        found = []
        for utterance in self.utterances:
            if utterance.transcript is None:
                continue
            again = utterance.repeats[number - 1 : number] if number else ()
            spent = utterance.transcript.timings.total if not number else again[0].seconds if again else None
            if spent is not None:
                found.append((utterance.transcript.duration, spent))
        return found

    def _transcripts(self) -> list[Transcript]:
        return [utterance.transcript for utterance in self.utterances if utterance.transcript]


@attrs.frozen(kw_only=True)
class BenchResult:
    """A data set through several models: what the records of a run say.

    Attributes:
        dataset: Its name.
        models: In the order they ran.
        seconds: From start to end, over all sessions that wrote the run and came to an end, by monotonic clocks.
        run: The folder, or the file, with its records.
        manifest: The facts of the run from before it began.
        load_averages: Of the machine before each session, over 1, 5 and 15 minutes, where the system tells.
        complete: Whether every utterance has its outcome with every model that loaded.
        passes: Each model's passes through the data set, in the order in which they ended, with what the machine did
            meanwhile; empty in runs of before passes were recorded.
    """

    dataset: str
    models: tuple[ModelResult, ...]
    seconds: float
    run: Path
    manifest: RunManifest
    load_averages: tuple[tuple[float, ...], ...] = ()
    complete: bool = True
    passes: tuple[ModelPass, ...] = ()

    @property
    def failed(self) -> int:
        """How many utterances, over all models, have no transcript."""
        return sum(model.failed for model in self.models)

    def to_json(self) -> str:
        """Everything, as one JSON object: the manifest, each model's facts, figures and utterances."""
        plain = {
            "run": str(self.run),
            "dataset": self.dataset,
            "seconds": self.seconds,
            "complete": self.complete,
            "failed": self.failed,
            "passes": [attrs.asdict(one_pass) for one_pass in self.passes],
            "manifest": self.manifest.to_plain(),
            "models": [_plain_model(model) for model in self.models],
        }
        return escape_json(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"


def _plain_model(model: ModelResult) -> dict[str, Any]:
    return {
        "model": model.model,
        "info": attrs.asdict(model.info) if model.info else None,
        "backend": model.backend,
        "batching": attrs.asdict(model.batching) if model.batching else None,
        "decoding_paths": dict(Counter(map(str, model.decoding_paths)).most_common()),
        "failure": attrs.asdict(model.failure) if model.failure else None,
        "score": _plain_score(model.score) if model.score else None,
        "finished_score": _plain_score(model.finished_score) if model.finished_score else None,
        "audio_seconds": model.audio_seconds,
        "rtfx": model.rtfx,
        "rtfx_of_repeats": model.rtfx_of_repeats,
        "unstable": model.unstable,
        "wer_of_repeats": model.wer_of_repeats if model.unstable else [],
        "latency_seconds": attrs.asdict(model.latency),
        "load_seconds": model.load_time,
        "peak_resident_bytes": model.peak_resident_bytes,
        "failed_gates": model.failed_gates,
        "utterances": [_plain_utterance(utterance) for utterance in model.utterances],
    }


def _plain_score(score: Score) -> dict[str, Any]:
    rates = {"wer": score.wer, "cer": score.cer, "mer": score.mer, "wil": score.wil}
    return {**rates, **attrs.asdict(score)}


def _plain_utterance(utterance: UtteranceResult) -> dict[str, Any]:
    transcript = json.loads(utterance.transcript.to("json")) if utterance.transcript else None
    return {
        "id": utterance.id,
        "reference": utterance.reference,
        "hypothesis": utterance.transcript.text if utterance.transcript else None,
        "failure": attrs.asdict(utterance.failure) if utterance.failure else None,
        "gates": [attrs.asdict(verdict) for verdict in utterance.gates],
        "attempts": utterance.attempts,
        "repeats": [attrs.asdict(repeat) for repeat in utterance.repeats],
        "transcript": transcript,
    }
