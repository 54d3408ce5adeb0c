"""Every utterance as data for the page's script, so that thousands of them are not thousands of table rows."""

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
from asrlab.evaluation.datasets import Dataset, Utterance
from asrlab.evaluation.reports.details import Details
from asrlab.evaluation.reports.scored_system import ScoredUtterance
from asrlab.evaluation.reports.worst import alignment_spans
from asrlab.evaluation.runs.fingerprint import audio_sha256
from asrlab.evaluation.runs.load import load_run_records
from asrlab.evaluation.runs.result import BenchResult

# What could end the script element or a line of JavaScript, as JSON escapes.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def utterance_rows(details: Details) -> dict[str, Any]:
    """The names of the systems, and a row per utterance.

    A row is id, speaker, language, seconds of audio, reference, and per system: errors, words of the reference, seconds
    of work, text, differences, and what was found. Differences are a list of what is the same (a string) and what is
    not (a pair of what was said and written); 0 where the words are all the same.
    """
    columns = [system.utterances for system in details.systems]
    return {
        "systems": [system.name for system in details.systems],
        "rows": [_row(details, row) for row in zip(*columns, strict=True)],
    }


def to_script_json(value: Any) -> Markup:
    """*value* as JSON that is safe within a script element."""
    plain = json.dumps(_visible(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(plain.translate(_ESCAPES))  # noqa: S704 - nothing is left in it that HTML would read as markup


def _visible(value: Any) -> Any:
    """*value* with the control characters in its texts escaped: the page only shows them."""
    match value:
        case str():
            return escape_controls(value)
        case list() | tuple():
            return [_visible(part) for part in value]
        case dict():
            return {name: _visible(part) for name, part in value.items()}
        case _:
            return value


def _row(details: Details, row: tuple[ScoredUtterance, ...]) -> list[Any]:
    first = row[0].result
    duration = details.durations.get(first.id)
    return [
        first.id,
        first.speaker,
        first.language,
        None if duration is None else round(duration, 2),
        first.reference,
        [_outcome(each) for each in row],
    ]


def _outcome(each: ScoredUtterance) -> list[Any]:
    result, seconds = each.result, each.seconds
    found = [*([result.failure.kind] if result.failure else []), *(verdict.gate for verdict in result.failed_gates)]
    different = [
        span.reference if span.is_equal else [span.reference, span.hypothesis] for span in alignment_spans(each.words)
    ]
    return [
        each.counts.errors if each.counts else None,
        each.counts.reference_length if each.counts else 0,
        None if seconds is None else round(seconds, 3),
        result.transcript.text if result.transcript else None,
        different if each.errors else 0,
        found,
    ]


_MIB = 2**20


@attrs.frozen(kw_only=True)
class Clips:
    """Clips that are in the page.

    Attributes:
        uris: By the utterance's id, ``data:`` and the clip as FLAC: mono, 16 kHz, 16 bits, as engines are given it.
        notes: Which are not there and why, a sentence each.
    """

    uris: dict[str, str] = attrs.field(factory=dict, repr=False)
    notes: tuple[str, ...] = ()


def embed_clips(result: BenchResult, ids: Sequence[str], *, dataset: Dataset | None = None, limit_bytes: int) -> Clips:
    """The clips of *ids*, as many as fit.

    A clip whose audio is not, byte for byte, what the run was of is left out.

    Args:
        result: The run, whose records tell the data set and the checksums.
        ids: The utterances, those first that are wanted most.
        dataset: Where the run was given one as an object; None loads the one that the run names.
        limit_bytes: What all of them may take up in the page.

    Raises:
        DatasetError: The data set is not there, or not known.
    """
    wanted = set(ids)
    sums = {facts.id: facts.audio_sha256 for facts in load_run_records(result.run).utterances}
    there = {each.id: each for each in dataset or _dataset(result) if each.id in wanted}
    uris: dict[str, str] = {}
    left_out: list[str] = []
    changed: list[str] = []
    room = limit_bytes
    for key in ids:
        if key not in there or audio_sha256(there[key].audio) != sums.get(key):
            changed.append(key)
            continue
        uri = _uri(there[key])
        if uri is None:
            changed.append(key)
        elif len(uri) > room:
            left_out.append(key)
        else:
            room -= len(uri)
            uris[key] = uri
    return Clips(uris=uris, notes=_notes(left_out, changed, len(ids), limit_bytes))


def _dataset(result: BenchResult) -> Dataset:
    request = result.manifest.request
    if request.dataset is None:
        raise DatasetError(
            f"the run {result.manifest.run} does not tell where its audio is: its data set was handed over as an "
            "object; give that one: asrlab.evaluation.report(..., audio=dataset)"
        )
    return load_dataset(request.dataset, format=request.format, allow_external_audio=request.allow_external_audio)


def _uri(utterance: Utterance) -> str | None:
    flac = _flac(utterance.audio)
    return None if flac is None else f"data:audio/flac;base64,{base64.b64encode(flac).decode('ascii')}"


def _flac(source: AudioSource) -> bytes | None:
    """None where it cannot be decoded, as the run will have found."""
    import soundfile

    try:
        audio = load_audio(source, allow_truncated=True)
    except AudioError:
        return None
    written = io.BytesIO()
    soundfile.write(written, audio.samples, audio.sample_rate, format="FLAC", subtype="PCM_16")
    return written.getvalue()


def _notes(left_out: Sequence[str], changed: Sequence[str], total: int, limit_bytes: int) -> tuple[str, ...]:
    notes = []
    if left_out:
        notes.append(
            f"{len(left_out)} of {total} clips are not in this file: all together they would take more than "
            f"{limit_bytes / _MIB:g} MiB (--audio-limit)"
        )
    if changed:
        notes.append(
            f"{len(changed)} of {total} clips are not in this file: their audio is not there any more, cannot be "
            f"decoded, or is not what the run was of ({', '.join(changed[:3])}{', …' if len(changed) > 3 else ''})"
        )
    return tuple(notes)
