"""The table of document formats; txt, tsv and json are written here, and json is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import cattrs

from asrlab.bounded_json import parse_json
from asrlab.control_characters import escape_controls, escape_json
from asrlab.errors import AsrlabError, DatasetError
from asrlab.transcript.document import DocumentMetadata, escape_formula, milliseconds, to_field
from asrlab.transcript.records import DecodingPath, Segment, TranscriptRecord, Word
from asrlab.transcript.scoring_formats import to_ctm, to_leaderboard, to_stm, to_textgrid, to_trn
from asrlab.transcript.subtitles import to_srt, to_vtt

SCHEMA = 2
"""Version of the fields under ``asrlab`` in a JSON transcript."""
_TOP_LEVEL = ("language", "duration", "text")


def _to_txt(transcript: TranscriptRecord, _metadata: DocumentMetadata) -> str:
    return f"{escape_controls(transcript.text)}\n"


def _to_tsv(transcript: TranscriptRecord, _metadata: DocumentMetadata) -> str:
    """Return start and end in milliseconds, and the text, with ``'`` in front if a spreadsheet would compute it.

    Source: openai-whisper, utils.py, ``WriteTSV``.
    """
    rows = (
        f"{milliseconds(segment.start)}\t{milliseconds(segment.end)}\t{escape_formula(to_field(segment.text))}\n"
        for segment in transcript.segments
    )
    return "start\tend\ttext\n" + "".join(rows)


def _to_json(transcript: TranscriptRecord, _metadata: DocumentMetadata) -> str:
    return escape_json(json.dumps(to_verbose_json(transcript), ensure_ascii=False, allow_nan=False, indent=2)) + "\n"


def to_verbose_json(transcript: TranscriptRecord) -> dict[str, Any]:
    """Return OpenAI's ``verbose_json`` with asrlab's own facts under ``asrlab``.

    Source: OpenAI API reference, "The transcription object (Verbose JSON)". ``language`` is the code, not the English
    name; fields that an engine does not report are null.
    """
    facts = attrs.asdict(transcript, filter=lambda attribute, _: attribute.name != "segments")
    shared = {name: facts.pop(name) for name in _TOP_LEVEL}
    for name in ("decoding", "track"):
        if facts[name] is None:
            del facts[name]
    verbose: dict[str, Any] = {
        "task": transcript.options.task,
        **shared,
        "segments": [_segment_to_json(index, segment) for index, segment in enumerate(transcript.segments)],
    }
    if transcript.words is not None:
        verbose["words"] = [_word_to_json(word) for word in transcript.words]
    return {**verbose, "asrlab": {"schema": SCHEMA, **facts}}


def _segment_to_json(index: int, segment: Segment) -> dict[str, Any]:
    fields = attrs.asdict(segment, filter=lambda attribute, _: attribute.name != "words")
    words = {} if segment.words is None else {"words": [_word_to_json(word) for word in segment.words]}
    return {"id": index, **fields, **words}


def _word_to_json(word: Word) -> dict[str, Any]:
    fields = attrs.asdict(word)
    return {"word": fields.pop("text"), **fields}


WRITERS: Mapping[str, Callable[[TranscriptRecord, DocumentMetadata], str]] = {
    "txt": _to_txt,
    "srt": to_srt,
    "vtt": to_vtt,
    "tsv": _to_tsv,
    "json": _to_json,
    "ctm": to_ctm,
    "stm": to_stm,
    "trn": to_trn,
    "textgrid": to_textgrid,
    "jsonl": to_leaderboard,
}


def structure_json[Record: TranscriptRecord](document: str | bytes, record_class: type[Record]) -> Record:
    """Read the JSON document of a transcript as a *record_class*.

    Raises:
        DatasetError: If the document is not JSON, or not a transcript of a version that this asrlab reads.
    """
    try:
        verbose = parse_json(document)
        facts = verbose["asrlab"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"this is not a JSON transcript of asrlab: {_describe_error(error)}; write one with to('json')"
        ) from error
    schema = facts.get("schema") if isinstance(facts, dict) else None
    if schema not in (1, SCHEMA):
        raise DatasetError(
            f"the transcript has schema {schema!r}, but this asrlab reads schemas 1 and {SCHEMA}; "
            "read the file with the asrlab version that wrote it"
        )
    try:
        shared = {name: verbose[name] for name in _TOP_LEVEL}
        segments = [_segment_from_json(fields) for fields in verbose["segments"]]
        if facts.get("path"):  # schema 1
            facts["decoding"] = attrs.asdict(DecodingPath.from_phrase(facts["path"]))
        return _converter().structure({**facts, **shared, "segments": segments}, record_class)
    except cattrs.BaseValidationError as error:
        details = "; ".join(cattrs.transform_error(error)[:3])
        raise DatasetError(f"the JSON transcript has wrong fields: {details}; write it anew with to('json')") from error
    except (AsrlabError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"the JSON transcript has wrong fields: {error}; write it anew with to('json')") from error


def _describe_error(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
    return str(error) if isinstance(error, ValueError) else "no readable 'asrlab' object"


def _segment_from_json(fields: dict[str, Any]) -> dict[str, Any]:
    words = fields.get("words")
    return {**fields, "words": None if words is None else [{"text": word["word"], **word} for word in words]}


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    temperature = float | tuple[float, ...] | None
    converter.register_structure_hook(temperature, lambda value, _: tuple(value) if isinstance(value, list) else value)
    return converter
