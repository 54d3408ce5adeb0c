"""What a bench gives back."""

from __future__ import annotations

import json
from typing import Any

import attrs

from asrlab.metrics import LatencySummary, Score, latency_summary, rtfx
from asrlab.runs.messages import Failure
from asrlab.transcriber import TranscriberInfo
from asrlab.transcript import Transcript

__all__ = ["BenchResult", "ModelResult", "UtteranceResult"]


@attrs.frozen(kw_only=True)
class UtteranceResult:
    """One utterance through one model.

    Attributes:
        id: The utterance's id.
        reference: What was said; None if the data set does not tell.
        transcript: The result; None if it failed.
        failure: Why it failed; None if it did not.
    """

    id: str
    reference: str | None
    transcript: Transcript | None = None
    failure: Failure | None = None

    @property
    def hypothesis(self) -> str:
        """The text that was recognized; empty where it failed, so that a failure counts as deletions."""
        return self.transcript.text if self.transcript else ""


@attrs.frozen(kw_only=True)
class ModelResult:
    """A whole data set through one model.

    Attributes:
        model: Its full name.
        info: The facts of the loaded model; None if it did not load.
        load_time: Seconds, as ``Transcriber.load_time``; None likewise.
        failure: Why it did not load; None if it did.
        utterances: In the order of the data set.
        score: Over the utterances that have a reference; a failed one counts as deletions. None if nothing was scored.
        peak_resident_bytes: Of the process that ran the model, from its start to its last answer, with Python, the
            engine and the weights; the highest where a crash made a second process necessary; None where the system
            does not tell.
    """

    model: str
    info: TranscriberInfo | None = None
    load_time: float | None = None
    failure: Failure | None = None
    utterances: tuple[UtteranceResult, ...] = ()
    score: Score | None = None
    peak_resident_bytes: int | None = None

    @property
    def failed(self) -> int:
        """How many utterances have no transcript."""
        return sum(utterance.transcript is None for utterance in self.utterances)

    @property
    def audio_seconds(self) -> float:
        """Duration of all transcribed utterances."""
        return sum(transcript.duration for transcript in self._transcripts())

    @property
    def rtfx(self) -> float | None:
        """Seconds of audio per second of work; see ``asrlab.metrics.rtfx`` for what is counted."""
        return rtfx(self.audio_seconds, sum(self._latencies()))

    @property
    def latency(self) -> LatencySummary:
        """Of the transcribed utterances; see ``asrlab.metrics.LatencySummary``."""
        return latency_summary(self._latencies())

    def _transcripts(self) -> list[Transcript]:
        return [utterance.transcript for utterance in self.utterances if utterance.transcript]

    def _latencies(self) -> list[float]:
        return [transcript.timings.total for transcript in self._transcripts()]


@attrs.frozen(kw_only=True)
class BenchResult:
    """A data set through several models.

    Attributes:
        dataset: Its name.
        models: In the order they ran.
        seconds: From start to end, by a monotonic clock.
    """

    dataset: str
    models: tuple[ModelResult, ...]
    seconds: float

    @property
    def failed(self) -> int:
        """How many utterances, over all models, have no transcript."""
        return sum(model.failed for model in self.models)

    def to_json(self) -> str:
        """Everything, as one JSON object: each model's facts, figures and utterances."""
        plain = {
            "dataset": self.dataset,
            "seconds": self.seconds,
            "failed": self.failed,
            "models": [_plain_model(model) for model in self.models],
        }
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _plain_model(model: ModelResult) -> dict[str, Any]:
    return {
        "model": model.model,
        "info": attrs.asdict(model.info) if model.info else None,
        "failure": attrs.asdict(model.failure) if model.failure else None,
        "score": _plain_score(model.score) if model.score else None,
        "audio_seconds": model.audio_seconds,
        "rtfx": model.rtfx,
        "latency_seconds": attrs.asdict(model.latency),
        "load_seconds": model.load_time,
        "peak_resident_bytes": model.peak_resident_bytes,
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
        "transcript": transcript,
    }
