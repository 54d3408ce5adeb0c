"""The formats of scoring and annotation programs: sclite's CTM, STM and trn, the leaderboard's JSONL, and TextGrid."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from asrlab.control_characters import escape_controls, escape_json, unescape_controls
from asrlab.transcript.document import collapse_whitespace, milliseconds, time_range_ms, timed_words, to_field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asrlab.transcript.document import DocumentMetadata
    from asrlab.transcript.records import Segment, TranscriptRecord, Word

_COMMENT = ";;"
_UNSAFE_IN_ID = re.compile(r"[\s%()]")
_PERCENT_ESCAPE = re.compile(r"%(?:25|28|29|20|09|0A|0D|3B)")
# Full-width braces: no scoring program reads them as alternatives, and every normalizer drops them as punctuation.
# Brackets of other kinds would lose the words inside them in Whisper's normalizers.
_FULL_WIDTH_BRACES = str.maketrans("{}", "\uff5b\uff5d")


def escape_id(name: str) -> str:
    r"""Return *name* as one field: white space, parentheses and % as ``%28``, and control characters as ``\x1b``."""
    safe = escape_controls(name, reversible=True)
    return _UNSAFE_IN_ID.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), safe)


def unescape_id(field: str) -> str:
    """Return the name that `escape_id` was given."""
    return unescape_controls(_PERCENT_ESCAPE.sub(lambda match: chr(int(match[0][1:], 16)), field))


def trn_line(text: str, name: str) -> str:
    """Return the line ``text (name)``, with a space in front of a text that begins like a comment.

    Braces, which mark alternatives in trn, are written full-width.

    Source: NIST SCTK, ``doc/infmts.htm``, "trn".
    """
    line = to_field(text).translate(_FULL_WIDTH_BRACES)
    return f"{' ' if line.startswith(_COMMENT) else ''}{line} ({escape_id(name)})\n"


def to_trn(transcript: TranscriptRecord, metadata: DocumentMetadata) -> str:
    """Return the whole text on one line."""
    return trn_line(transcript.text, metadata.name)


def to_ctm(transcript: TranscriptRecord, metadata: DocumentMetadata) -> str:
    """Return a line for each word, in order of start: ``name channel start duration word [confidence]``.

    Words that were not timed share their segment's time by their lengths in characters.

    Source: NIST SCTK, ``doc/infmts.htm``, "ctm".
    """
    words = [word for segment in transcript.segments for word in timed_words(segment)]
    lines = []
    for word in sorted(words, key=lambda word: milliseconds(word.start)):
        start, end = time_range_ms(word)
        confidence = "" if word.probability is None else f" {word.probability:.4f}"
        times = f"{_seconds(start)} {_seconds(end - start)}"
        lines.append(f"{_id_field(metadata.name)} 1 {times} {to_field(word.text)}{confidence}\n")
    return "".join(lines)


def to_stm(transcript: TranscriptRecord, metadata: DocumentMetadata) -> str:
    """Return a line for each segment: ``name channel speaker start end <label> text``.

    Braces, which mark alternatives in STM, are written full-width. The label ``<NA>`` is always there, because a text
    that begins with ``<`` would be read as a label.

    Source: NIST SCTK, ``doc/infmts.htm``, "stm".
    """
    name, speaker = _id_field(metadata.name), _id_field(metadata.speaker or metadata.name)
    lines = []
    for segment in transcript.segments:
        start, end = map(_seconds, time_range_ms(segment))
        text = to_field(segment.text).translate(_FULL_WIDTH_BRACES)
        lines.append(f"{name} 1 {speaker} {start} {end} <NA> {text}".rstrip() + "\n")
    return "".join(lines)


def to_leaderboard(transcript: TranscriptRecord, metadata: DocumentMetadata) -> str:
    """Return a line of the Open ASR Leaderboard's manifests, with ``text`` only if there is a reference.

    Source: github.com/huggingface/open_asr_leaderboard, commit d1e99b2, ``normalizer/eval_utils.py``,
    ``write_manifest``.
    """
    fields = {
        "audio_filepath": metadata.name,
        "duration": transcript.duration,
        "time": transcript.timings.total,
        **({} if metadata.reference is None else {"text": metadata.reference}),
        "pred_text": transcript.text,
    }
    return escape_json(json.dumps(fields, ensure_ascii=False, allow_nan=False)) + "\n"


def _id_field(name: str) -> str:
    """Return *name* as a field that does not make its line a comment."""
    field = escape_id(name)
    return f"%3B{field[1:]}" if field.startswith(_COMMENT) else field


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}"


type _Interval = tuple[int, int, str]
_TEXTGRID_HEAD = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'


def to_textgrid(transcript: TranscriptRecord, _metadata: DocumentMetadata) -> str:
    """Return a Praat TextGrid with a tier of segments, and a tier of words if words were timed.

    Intervals of a tier cannot overlap: overlapping segments go to further tiers, named ``segments 2`` and so on.

    Source: Praat manual, "TextGrid file formats".
    """
    tiers = _build_tiers("segments", transcript.segments) or [("segments", [])]
    tiers += _build_tiers("words", [word for segment in transcript.segments for word in segment.words or ()])
    ends = [end for _, intervals in tiers for _, end, _ in intervals]
    duration = max([milliseconds(transcript.duration), 1, *ends])
    body = "".join(_format_tier(index, *tier, duration) for index, tier in enumerate(tiers, start=1))
    head = f"{_TEXTGRID_HEAD}xmin = 0\nxmax = {_seconds(duration)}\ntiers? <exists>\nsize = {len(tiers)}\n"
    return f"{head}item []:\n{body}"


def _build_tiers(name: str, timed: Iterable[Segment | Word]) -> list[tuple[str, list[_Interval]]]:
    """Put each interval on the first tier that is free at its time."""
    tiers: list[list[_Interval]] = []
    texts = ((*time_range_ms(item), escape_controls(collapse_whitespace(item.text))) for item in timed)
    for interval in sorted(texts):
        tier = next((tier for tier in tiers if tier[-1][1] <= interval[0]), None)
        if tier is None:
            tiers.append([interval])
        else:
            tier.append(interval)
    return [(name if index == 1 else f"{name} {index}", tier) for index, tier in enumerate(tiers, start=1)]


def _format_tier(index: int, name: str, intervals: list[_Interval], duration: int) -> str:
    filled: list[_Interval] = []
    position = 0
    for start, end, text in [*intervals, (duration, duration, "")]:
        if start > position:  # a tier has no gaps
            filled.append((position, start, ""))
        filled.append((start, end, text))
        position = end
    del filled[-1]
    lines = [f"    item [{index}]:", '        class = "IntervalTier"', f'        name = "{name}"', "        xmin = 0"]
    lines += [f"        xmax = {_seconds(duration)}", f"        intervals: size = {len(filled)}"]
    for number, (start, end, text) in enumerate(filled, start=1):
        quoted = text.replace('"', '""')
        lines += [f"        intervals [{number}]:", f"            xmin = {_seconds(start)}"]
        lines += [f"            xmax = {_seconds(end)}", f'            text = "{quoted}"']
    return "\n".join(lines) + "\n"
