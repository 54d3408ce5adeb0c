"""Data of the page: checks of its trustworthiness, rows of utterances, audio clips, and the geometry of charts."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import attrs
from markupsafe import Markup

from asrlab.audio import AudioSource, load_audio
from asrlab.control_characters import escape_controls
from asrlab.errors import AudioError, DatasetError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.datasets import Dataset
from asrlab.evaluation.reports.details import Details
from asrlab.evaluation.reports.formatting import format_count
from asrlab.evaluation.reports.scored_system import LatencyHistograms, ScoredSystem, ScoredUtterance, alignment_spans
from asrlab.evaluation.runs.fingerprint import audio_sha256
from asrlab.evaluation.runs.load import load_run_records
from asrlab.evaluation.runs.result import BenchResult

# Characters that could end the script element or a line of JavaScript, as JSON escapes.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
_BYTES_PER_MIB = 2**20
_MIN_UTTERANCES = 20
WIDTH = 460
_LEFT, _RIGHT = 46, WIDTH - 14
_STEPS = (1.0, 2.0, 5.0, 10.0)
_MIN_LOG_RATIO = 10.0
"""Ratio of the fastest to the slowest speed from which the axis is logarithmic, to keep slow systems apart."""
_ROW_HEIGHT = 58
_BAR_HEIGHT = 34


@attrs.frozen(kw_only=True)
class TrustCheck:
    """One check: a name of a word or two, whether there is no problem, and the result."""

    name: str
    ok: bool
    detail: str


def trust_checks(results: Sequence[BenchResult], details: Details) -> Iterator[TrustCheck]:
    """Yield the checks, the most serious first."""
    systems = details.systems
    partial = [result.manifest.run for result in results if not result.complete]
    broken = sum(model.failure is not None for result in results for model in result.models)
    problem = f"{broken} models did not load" if broken else ""
    yield _check("complete", f"{', '.join(partial)} is not" if partial else problem, "yes")

    random = [each.name for each in systems if each.system.has_random_weights]
    weights = {each.name: each.system.info.model for each in systems}
    unpinned = [name for name, model in weights.items() if model.weights_sha256 and not model.weights_pinned]
    problem = f"checksum not in the catalogue: {', '.join(unpinned)}" if unpinned else ""
    known = "as in the catalogue" if any(model.weights_sha256 for model in weights.values()) else "none in use"
    yield _check("weights", f"random: {', '.join(random)}" if random else problem, known)

    simulated = [each.name for each in systems if each.system.is_simulated]
    yield _check("device", f"simulated: {', '.join(simulated)}" if simulated else "", "real")
    failed = sum(each.model.failed for each in systems)
    yield _check("failed", f"{failed} count as deletions" if failed else "", "none")

    findings = sum(each.model.failed_gates for each in systems)
    unchecked = sum(counts[2] for gate in details.gates for counts in gate.systems)
    passed = f"no findings, {unchecked} not checked" if unchecked else "no findings"
    problem = format_count(findings, "finding") if findings else ""
    yield _check("gates", problem, passed if details.gates else "none ran")

    counts = [utterance.counts for utterance in systems[0].utterances] if systems else []
    lengths = [each.reference_length for each in counts if each]
    size = f"{format_count(len(lengths), 'utterance')}, {format_count(sum(lengths), 'word')}"
    yield TrustCheck(name="size", ok=len(lengths) >= _MIN_UTTERANCES, detail=size)
    if unstable := sum(len(each.model.unstable) for each in systems):
        yield TrustCheck(name="repeats", ok=False, detail=f"{unstable} texts changed when repeated")
        return
    passes = min(result.manifest.request.repeat for result in results)
    yield TrustCheck(name="times", ok=passes > 1, detail=f"measured {passes} times" if passes > 1 else "measured once")


def _check(name: str, problem: str, detail: str) -> TrustCheck:
    return TrustCheck(name=name, ok=not problem, detail=problem or detail)


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
    seconds = None if duration is None else round(duration, 2)
    return [first.id, first.speaker, first.language, seconds, first.reference, list(map(_to_cell, row))]


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
    """Embed as many of the clips of *ids*, the most important first, as fit into *limit_bytes*.

    A clip is left out if its audio differs from the run's by a single byte. Without *dataset*, the data set that the
    run names is loaded.

    Raises:
        DatasetError: If the data set is unknown or not available.
    """
    if dataset is None:
        request = result.manifest.request
        if request.dataset is None:
            raise DatasetError(
                f"the run {result.manifest.run} does not state where its audio is: its data set was passed as an "
                "object; pass that object: asrlab.evaluation.report(..., audio=dataset)"
            )
        external = request.allow_external_audio
        dataset = load_dataset(request.dataset, format=request.format, allow_external_audio=external)
    checksums = {facts.id: facts.audio_sha256 for facts in load_run_records(result.run).utterances}
    utterances = {each.id: each for each in dataset if each.id in ids}
    uris: dict[str, str] = {}
    too_large, unavailable = 0, list[str]()
    for key in ids:
        uri = None
        if key in utterances and audio_sha256(utterances[key].audio) == checksums.get(key):
            uri = _to_uri(utterances[key].audio)
        if uri is None:
            unavailable.append(key)
        elif sum(map(len, uris.values())) + len(uri) > limit_bytes:
            too_large += 1
        else:
            uris[key] = uri
    notes = []
    if too_large:
        notes.append(
            f"{too_large} of {len(ids)} clips are not in this file: together they would take more than "
            f"{limit_bytes / _BYTES_PER_MIB:g} MiB (--audio-limit)"
        )
    if unavailable:
        names = ", ".join(unavailable[:3]) + (", …" if len(unavailable) > 3 else "")
        notes.append(
            f"{len(unavailable)} of {len(ids)} clips are not in this file: their audio is missing, cannot be decoded, "
            f"or differs from the run's audio ({names})"
        )
    return Clips(uris=uris, notes=tuple(notes))


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


class Tick(NamedTuple):
    """A mark on an axis: its position in the chart, and its label."""

    at: float
    label: str


@attrs.frozen(kw_only=True)
class Axis:
    """An axis from the value *low* at the position *start* in the chart to *high* at *end*, with ticks at *values*.

    On a *logarithmic* axis, equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    values: tuple[float, ...] = ()

    def position(self, value: float) -> float:
        """Return the position of *value*, rounded to a tenth; a value outside of the axis is at its end."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """The ticks with their labels."""
        return tuple(Tick(self.position(value), f"{value:g}") for value in self.values)


def linear_axis(highest: float, *, start: float, end: float) -> Axis:
    """Return an axis from zero to a round value not below *highest*, with three to six ticks."""
    highest = highest if highest > 0 else 1.0
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in _STEPS if step * power >= rough * 0.999)
    count = math.ceil(round(highest / step, 6))
    values = tuple(round(index * step, 10) for index in range(count + 1))
    return Axis(low=0.0, high=count * step, start=start, end=end, values=values)


def log_axis(low: float, high: float, *, start: float, end: float) -> Axis:
    """Return a logarithmic axis between two positive values, with ticks at 1, 2 and 5 times powers of ten."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # 10 ** -1 * 2 is not exactly 0.2, but a value parsed from text is.
    candidates = [float(f"{step:g}e{power}") for power in powers for step in _STEPS[:3]]
    values = tuple(value for value in candidates if low <= value <= high)
    return Axis(low=low, high=high, start=start, end=end, logarithmic=True, values=values)


def scatter_plot(systems: Sequence[ScoredSystem]) -> dict[str, Any] | None:
    """Return the axes and points of a chart of WER against RTFx; None if no system has both.

    A point has the positions of both figures, the interval of the WER, the slowest and fastest repeat, and its label.
    """
    known = [
        (index, system, speed)
        for index, system in enumerate(systems)
        if (speed := system.model.rtfx) and system.words.reference_length
    ]
    if not known:
        return None
    speeds = [speed for _, system, _ in known for speed in system.model.rtfx_by_repeat]
    if max(speeds) < _MIN_LOG_RATIO * min(speeds):
        x = linear_axis(max(speeds) * 1.05, start=_LEFT, end=_RIGHT)
    else:
        x = log_axis(min(speeds) / 2, max(speeds) * 2, start=_LEFT, end=_RIGHT)
    y = linear_axis(max(max(_percents(system)) for _, system, _ in known), start=250, end=16)
    points = []
    for index, system, speed in known:
        rate, low, high = map(y.position, _percents(system))
        at, repeats = x.position(speed), system.model.rtfx_by_repeat
        points.append(
            {
                "index": index,
                "x": at,
                "y": rate,
                "top": high,
                "bottom": low,
                "left": x.position(min(repeats)),
                "right": x.position(max(repeats)),
                "label_x": at - 11 if at > _RIGHT - 20 else at + 11,
            }
        )
    return {"width": WIDTH, "height": 300, "x": x, "y": y, "points": points}


def _percents(system: ScoredSystem) -> tuple[float, float, float]:
    """Return the WER and the ends of its interval, which are the WER itself without an interval."""
    rate, interval = 100 * (system.words.rate or 0.0), system.interval
    return (rate, 100 * interval.low, 100 * interval.high) if interval else (rate, rate, rate)


def histograms(latency: LatencyHistograms) -> dict[str, Any] | None:
    """Return the axis of the latencies and a row of bars for each system; None if nothing was measured.

    The highest bar of each row has the full height, since systems may have unequal numbers of repeats.
    """
    if not latency.edges:
        return None
    x = log_axis(latency.edges[0], latency.edges[-1], start=14, end=_RIGHT)
    edges = [x.position(edge) for edge in latency.edges]
    rows = []
    for index, system in enumerate(latency.systems):
        base = float(_ROW_HEIGHT * (index + 1) - 2)
        percentiles = (("p50", system.summary.p50), ("p95", system.summary.p95))
        marks = [Tick(x.position(value), label) for label, value in percentiles if value]
        bars = []
        for left, right, count in zip(edges, edges[1:], system.counts, strict=False):
            if count:
                height = round(_BAR_HEIGHT * count / max(system.counts), 1)
                bars.append({"x": left, "y": base - height, "width": round(right - left - 1, 1), "height": height})
        rows.append({"index": index, "name": system.name, "base": base, "bars": bars, "marks": marks})
    return {"width": WIDTH, "height": _ROW_HEIGHT * len(rows) + 34, "x": x, "rows": rows}
