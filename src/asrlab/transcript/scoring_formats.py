"""The forms that scoring programs read: CTM, STM and trn of NIST's sclite, and the Open ASR Leaderboard's JSONL."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from asrlab.control_characters import escape_controls, escape_json, unescape_controls
from asrlab.transcript.document import collapse_whitespace, milliseconds, time_range_ms, timed_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asrlab.transcript.document import DocumentMetadata
    from asrlab.transcript.records import Segment, Transcript, Word

_COMMENT = ";;"
_IN_IDS = re.compile(r"[\s%()]")
_WRITTEN = re.compile(r"%(?:25|28|29|20|09|0A|0D|3B)")
# Full-width ones, which no scoring program takes for alternatives and every normalizer for punctuation; the words in
# brackets of other kinds are dropped by Whisper's normalizers.
_BRACES = str.maketrans("{}", "\uff5b\uff5d")


def written_id(name: str) -> str:
    r"""A name as one field: white space, parentheses and % as in addresses (``%28``), which `plain_id` undoes.

    Control characters are escaped (``\x1b``), which it undoes, too.
    """
    safe = escape_controls(name, reversible=True)
    return _IN_IDS.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), safe)


def plain_id(written: str) -> str:
    """The name that `written_id` wrote."""
    return unescape_controls(_WRITTEN.sub(lambda found: chr(int(found[0][1:], 16)), written))


def trn_line(text: str, name: str) -> str:
    """``text (name)``. A text that begins like a comment has a space in front, which keeps it from being one.

    Braces, which trn has for alternatives, are written full-width.

    Source: NIST SCTK, ``doc/infmts.htm``, "trn".
    """
    line = _safe(text).translate(_BRACES)
    return f"{' ' if line.startswith(_COMMENT) else ''}{line} ({written_id(name)})\n"


def to_trn(transcript: Transcript, labels: DocumentMetadata) -> str:
    """The whole text on one line."""
    return trn_line(transcript.text, labels.name)


def to_ctm(transcript: Transcript, labels: DocumentMetadata) -> str:
    """A word a line: ``name channel start duration word [confidence]``, in the order of their starts.

    Words that were not timed share their segment's time by their length in characters.

    Source: NIST SCTK, ``doc/infmts.htm``, "ctm".
    """
    words = [word for segment in transcript.segments for word in timed_words(segment)]
    lines = []
    for word in sorted(words, key=lambda each: milliseconds(each.start)):
        start, end = time_range_ms(word)
        sure = "" if word.probability is None else f" {word.probability:.4f}"
        lines.append(f"{_field(labels.name)} 1 {_seconds(start)} {_seconds(end - start)} {_safe(word.text)}{sure}\n")
    return "".join(lines)


def to_stm(transcript: Transcript, labels: DocumentMetadata) -> str:
    """A segment a line: ``name channel speaker start end <label> text``.

    Braces, which STM has for alternatives, are written full-width. The label ``<NA>`` keeps a text that begins with
    ``<`` from being taken for one.

    Source: NIST SCTK, ``doc/infmts.htm``, "stm".
    """
    lines = []
    for segment in transcript.segments:
        start, end = map(_seconds, time_range_ms(segment))
        head = f"{_field(labels.name)} 1 {_field(labels.speaker or labels.name)} {start} {end} <NA>"
        lines.append(f"{head} {_safe(segment.text).translate(_BRACES)}".rstrip() + "\n")
    return "".join(lines)


def to_leaderboard(transcript: Transcript, labels: DocumentMetadata) -> str:
    """One line of the Open ASR Leaderboard's manifests; without ``text`` where there is no reference.

    Source: github.com/huggingface/open_asr_leaderboard, commit d1e99b2, ``normalizer/eval_utils.py``,
    ``write_manifest``.
    """
    facts = {
        "audio_filepath": labels.name,
        "duration": transcript.duration,
        "time": transcript.timings.total,
        **({} if labels.reference is None else {"text": labels.reference}),
        "pred_text": transcript.text,
    }
    return escape_json(json.dumps(facts, ensure_ascii=False, allow_nan=False)) + "\n"


def _safe(text: str) -> str:
    """One line without control characters; `unescape_controls` gives the line again."""
    return escape_controls(collapse_whitespace(text), reversible=True)


def _field(name: str) -> str:
    """A name that is one field, and does not make its line a comment."""
    written = written_id(name)
    return f"%3B{written[1:]}" if written.startswith(_COMMENT) else written


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}"


type _Interval = tuple[int, int, str]
_HEAD = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'


def to_textgrid(transcript: Transcript, _labels: DocumentMetadata) -> str:
    """A tier of segments, and one of words where they were timed.

    A tier cannot hold two intervals at the same time: those that overlap go to further tiers, ``segments 2`` and so on.

    Source: Praat manual, "TextGrid file formats".
    """
    tiers = _tiers("segments", transcript.segments)
    tiers += _tiers("words", [word for segment in transcript.segments for word in segment.words or ()])
    ends = [end for _, intervals in tiers for _, end, _ in intervals]
    last = max([milliseconds(transcript.duration), 1, *ends])
    body = "".join(_tier(number, name, intervals, last) for number, (name, intervals) in enumerate(tiers, start=1))
    return f"{_HEAD}xmin = 0\nxmax = {_seconds(last)}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n{body}"


def _tiers(name: str, timed: Iterable[Segment | Word]) -> list[tuple[str, list[_Interval]]]:
    """The intervals, each on the first tier on which its time is free; at least one tier for segments."""
    found: list[list[_Interval]] = [[]] if name == "segments" else []
    for interval in sorted((*time_range_ms(each), escape_controls(collapse_whitespace(each.text))) for each in timed):
        free = next((tier for tier in found if not tier or tier[-1][1] <= interval[0]), None)
        if free is None:
            found.append(free := [])
        free.append(interval)
    return [(name if place == 1 else f"{name} {place}", tier) for place, tier in enumerate(found, start=1)]


def _tier(number: int, name: str, intervals: list[_Interval], last: int) -> str:
    whole = _without_gaps(intervals, last)
    head = f'    item [{number}]:\n        class = "IntervalTier"\n        name = "{name}"\n'
    head += f"        xmin = 0\n        xmax = {_seconds(last)}\n        intervals: size = {len(whole)}\n"
    return head + "".join(_interval(place, *each) for place, each in enumerate(whole, start=1))


def _without_gaps(intervals: list[_Interval], last: int) -> list[_Interval]:
    """With empty intervals between: a tier has no gaps."""
    whole: list[_Interval] = []
    done = 0
    for start, end, text in intervals:
        if start > done:
            whole.append((done, start, ""))
        whole.append((start, end, text))
        done = end
    return [*whole, (done, last, "")] if done < last else whole


def _interval(place: int, start: int, end: int, text: str) -> str:
    quoted = text.replace('"', '""')
    return (
        f"        intervals [{place}]:\n            xmin = {_seconds(start)}\n            xmax = {_seconds(end)}\n"
        f'            text = "{quoted}"\n'
    )
