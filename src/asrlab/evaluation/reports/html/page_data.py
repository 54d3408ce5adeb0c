"""Data of the page: a compact row for each utterance, and audio clips."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

import attrs
from markupsafe import Markup

from asrlab.audio import AudioSource, load_audio
from asrlab.control_characters import escape_controls
from asrlab.errors import AudioError, DatasetError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.datasets import Dataset
from asrlab.evaluation.reports.details import Details
from asrlab.evaluation.reports.scored_system import ScoredUtterance, alignment_spans
from asrlab.evaluation.runs.fingerprint import audio_sha256
from asrlab.evaluation.runs.load import load_run_records
from asrlab.evaluation.runs.result import BenchResult

# Characters that could end the script element or a line of JavaScript, as JSON escapes.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
_BYTES_PER_MIB = 2**20


def utterance_rows(details: Details) -> dict[str, Any]:
    """Return the systems' names and a row for each utterance, from which the page's script draws a table.

    A row is id, speaker, language, seconds of audio, reference, and for each system: errors, words of the reference,
    processing time, text, differences, and findings. Differences are a list of equal words (a string) and different
    words (a pair of reference and hypothesis); 0 if there are no errors.
    """
    columns = [system.utterances for system in details.systems]
    return {
        "systems": [system.name for system in details.systems],
        "rows": [_to_row(details, row) for row in zip(*columns, strict=True)],
    }


def to_script_json(value: Any) -> Markup:
    """Return *value* as JSON that is safe inside a script element."""
    plain = json.dumps(_escape_texts(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(plain.translate(_ESCAPES))  # noqa: S704 - the result holds nothing that HTML reads as markup


def _escape_texts(value: Any) -> Any:
    match value:
        case str():
            return escape_controls(value)
        case list() | tuple():
            return [_escape_texts(part) for part in value]
        case dict():
            return {name: _escape_texts(part) for name, part in value.items()}
        case _:
            return value


def _to_row(details: Details, row: tuple[ScoredUtterance, ...]) -> list[Any]:
    first = row[0].result
    duration = details.durations.get(first.id)
    return [
        first.id,
        first.speaker,
        first.language,
        None if duration is None else round(duration, 2),
        first.reference,
        [_to_cell(utterance) for utterance in row],
    ]


def _to_cell(utterance: ScoredUtterance) -> list[Any]:
    result, seconds, counts = utterance.result, utterance.seconds, utterance.counts
    findings = [gate.gate for gate in result.failed_gates]
    spans = alignment_spans(utterance.words) if utterance.errors else ()
    return [
        counts.errors if counts else None,
        counts.reference_length if counts else 0,
        None if seconds is None else round(seconds, 3),
        result.transcript.text if result.transcript else None,
        [span.reference if span.is_equal else [span.reference, span.hypothesis] for span in spans] or 0,
        [result.failure.kind, *findings] if result.failure else findings,
    ]


@attrs.frozen(kw_only=True)
class Clips:
    """Audio clips in the page.

    Attributes:
        uris: By utterance id, a ``data:`` URI of the clip as FLAC: mono, 16 kHz, 16 bits, as engines receive audio.
        notes: The clips that are missing, and why, a sentence each.
    """

    uris: dict[str, str] = attrs.field(factory=dict, repr=False)
    notes: tuple[str, ...] = ()


def embed_clips(result: BenchResult, ids: Sequence[str], *, dataset: Dataset | None = None, limit_bytes: int) -> Clips:
    """Embed as many of the clips of *ids* as fit.

    A clip is left out if its audio differs from the run's by a single byte.

    Args:
        result: The run, whose records name the data set and the checksums.
        ids: The utterances, the most important first.
        dataset: The data set, if the run was given one as an object; None loads the data set that the run names.
        limit_bytes: Maximum size of all clips in the page.

    Raises:
        DatasetError: If the data set is unknown or not available.
    """
    wanted = set(ids)
    checksums = {facts.id: facts.audio_sha256 for facts in load_run_records(result.run).utterances}
    utterances = {each.id: each for each in dataset or _load_dataset(result) if each.id in wanted}
    uris: dict[str, str] = {}
    too_large: list[str] = []
    unavailable: list[str] = []
    remaining = limit_bytes
    for key in ids:
        uri = None
        if key in utterances and audio_sha256(utterances[key].audio) == checksums.get(key):
            uri = _to_uri(utterances[key].audio)
        if uri is None:
            unavailable.append(key)
        elif len(uri) > remaining:
            too_large.append(key)
        else:
            remaining -= len(uri)
            uris[key] = uri
    return Clips(uris=uris, notes=_clip_notes(too_large, unavailable, len(ids), limit_bytes))


def _load_dataset(result: BenchResult) -> Dataset:
    request = result.manifest.request
    if request.dataset is None:
        raise DatasetError(
            f"the run {result.manifest.run} does not state where its audio is: its data set was passed as an object; "
            "pass that object: asrlab.evaluation.report(..., audio=dataset)"
        )
    return load_dataset(request.dataset, format=request.format, allow_external_audio=request.allow_external_audio)


def _to_uri(source: AudioSource) -> str | None:
    """Return the audio as a ``data:`` URI of FLAC; None if it cannot be decoded."""
    import soundfile

    try:
        audio = load_audio(source, allow_truncated=True)
    except AudioError:
        return None
    flac = io.BytesIO()
    soundfile.write(flac, audio.samples, audio.sample_rate, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(flac.getvalue()).decode('ascii')}"


def _clip_notes(too_large: Sequence[str], unavailable: Sequence[str], total: int, limit_bytes: int) -> tuple[str, ...]:
    notes = []
    if too_large:
        notes.append(
            f"{len(too_large)} of {total} clips are not in this file: together they would take more than "
            f"{limit_bytes / _BYTES_PER_MIB:g} MiB (--audio-limit)"
        )
    if unavailable:
        ids = ", ".join(unavailable[:3]) + (", …" if len(unavailable) > 3 else "")
        notes.append(
            f"{len(unavailable)} of {total} clips are not in this file: their audio is missing, cannot be decoded, or "
            f"differs from the run's audio ({ids})"
        )
    return tuple(notes)
