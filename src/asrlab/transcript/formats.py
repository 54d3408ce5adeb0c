"""Transcripts as documents, in one table of formats; txt, tsv and json, and json back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import cattrs

from asrlab.bounded_json import parse_json
from asrlab.control_characters import escape_controls, escape_json
from asrlab.errors import AsrlabError, DatasetError
from asrlab.transcript.document import DocumentMetadata, collapse_whitespace, escape_formula, milliseconds
from asrlab.transcript.records import Segment, Transcript
from asrlab.transcript.scoring_formats import to_ctm, to_leaderboard, to_stm, to_textgrid, to_trn
from asrlab.transcript.subtitles import to_srt, to_vtt

SCHEMA = 1
"""Number of the layout under ``asrlab`` in a JSON transcript; a reader refuses one it does not know."""


def _txt(transcript: Transcript, _labels: DocumentMetadata) -> str:
    return f"{escape_controls(transcript.text)}\n"


def _tsv(transcript: Transcript, _labels: DocumentMetadata) -> str:
    """People open it in spreadsheets, so that a text that begins like a formula has ``'`` in front.

    Source: openai-whisper, utils.py, ``WriteTSV``: start and end in milliseconds.
    """
    texts = (escape_formula(escape_controls(collapse_whitespace(s.text), reversible=True)) for s in transcript.segments)
    rows = zip(transcript.segments, texts, strict=True)
    return "start\tend\ttext\n" + "".join(
        f"{milliseconds(s.start)}\t{milliseconds(s.end)}\t{text}\n" for s, text in rows
    )


def _json(transcript: Transcript, _labels: DocumentMetadata) -> str:
    return escape_json(json.dumps(to_verbose_json(transcript), ensure_ascii=False, allow_nan=False, indent=2)) + "\n"


def to_verbose_json(transcript: Transcript) -> dict[str, Any]:
    """OpenAI's ``verbose_json`` with asrlab's own facts under ``asrlab``.

    Source: OpenAI API reference, "The transcription object (Verbose JSON)". ``language`` is the code, not the English
    name; what an engine does not give is null.
    """
    facts = attrs.asdict(transcript)
    del facts["segments"], facts["text"], facts["duration"], facts["language"]
    for name in ("path", "track"):
        if facts[name] is None:
            del facts[name]
    verbose: dict[str, Any] = {
        "task": transcript.options.task,
        "language": transcript.language,
        "duration": transcript.duration,
        "text": transcript.text,
        "segments": [_verbose_segment(index, segment) for index, segment in enumerate(transcript.segments)],
    }
    if transcript.words is not None:
        verbose["words"] = [_verbose_word(attrs.asdict(word)) for word in transcript.words]
    return {**verbose, "asrlab": {"schema": SCHEMA, **facts}}


def _verbose_segment(index: int, segment: Segment) -> dict[str, Any]:
    fields = attrs.asdict(segment)
    words = fields.pop("words")
    return {"id": index, **fields} | ({} if words is None else {"words": [_verbose_word(word) for word in words]})


def _verbose_word(fields: dict[str, Any]) -> dict[str, Any]:
    return {"word": fields.pop("text"), **fields}


WRITERS: Mapping[str, Callable[[Transcript, DocumentMetadata], str]] = {
    "txt": _txt,
    "srt": to_srt,
    "vtt": to_vtt,
    "tsv": _tsv,
    "json": _json,
    "ctm": to_ctm,
    "stm": to_stm,
    "trn": to_trn,
    "textgrid": to_textgrid,
    "jsonl": to_leaderboard,
}


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    temperature = float | tuple[float, ...] | None
    converter.register_structure_hook(temperature, lambda value, _: tuple(value) if isinstance(value, list) else value)
    return converter


def read_json(document: str | bytes) -> Transcript:
    """The transcript that ``Transcript.to("json")`` wrote.

    Raises:
        DatasetError: It is not JSON, or not a transcript of a version this asrlab reads.
    """
    try:
        verbose = parse_json(document)
        facts = verbose["asrlab"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"not a transcript in JSON as asrlab writes it: {_problem(error)}; make one with to('json')"
        ) from error
    return _structure(verbose, facts)


def _problem(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
    return str(error) if isinstance(error, ValueError) else "no readable 'asrlab' object"


def _structure(verbose: dict[str, Any], facts: object) -> Transcript:
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
        found = facts.get("schema") if isinstance(facts, dict) else None
        raise DatasetError(
            f"the transcript has schema {found!r}, this asrlab reads {SCHEMA}; read it with the asrlab that wrote it"
        )
    try:
        shared = {name: verbose[name] for name in ("text", "duration", "language")}
        segments = [_plain_segment(segment) for segment in verbose["segments"]]
        return _converter().structure({**facts, **shared, "segments": segments}, Transcript)
    except (cattrs.BaseValidationError, AsrlabError, KeyError, TypeError, ValueError, AttributeError) as error:
        detail = (
            "; ".join(cattrs.transform_error(error)[:3]) if isinstance(error, cattrs.BaseValidationError) else error
        )
        raise DatasetError(f"the JSON transcript does not have the fields of one: {detail}") from error


def _plain_segment(fields: dict[str, Any]) -> dict[str, Any]:
    words = fields.get("words")
    plain = None if words is None else [{"text": word["word"], **word} for word in words]
    return {**fields, "words": plain}
