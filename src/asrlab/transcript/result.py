"""The results of transcription, and the table of document formats; txt, tsv and json are written here, json is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import cattrs

from asrlab.bounded_json import parse_json
from asrlab.control_characters import escape_controls, escape_json
from asrlab.errors import AsrlabError, DatasetError, OptionError
from asrlab.result_display import HtmlTable, Summarized, Tabular, quote, shorten
from asrlab.transcript.document import DocumentMetadata, SubtitleLayout, escape_formula, milliseconds, to_field
from asrlab.transcript.records import DecodingPath, TranscriptRecord, Word
from asrlab.transcript.scoring_formats import to_ctm, to_leaderboard, to_stm, to_textgrid, to_trn
from asrlab.transcript.subtitles import to_srt, to_vtt

SCHEMA = 2
"""Version of the fields under ``asrlab`` in a JSON transcript."""
MAX_ITEM_WIDTH = 60
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
    segments = [
        {
            "id": index,
            **attrs.asdict(segment, filter=lambda attribute, _: attribute.name != "words"),
            **_words_to_json(segment.words),
        }
        for index, segment in enumerate(transcript.segments)
    ]
    verbose = {"task": transcript.options.task, **shared, "segments": segments, **_words_to_json(transcript.words)}
    return {**verbose, "asrlab": {"schema": SCHEMA, **facts}}


def _words_to_json(words: Sequence[Word] | None) -> dict[str, Any]:
    """Return the field ``words``, in which the text of a word is called ``word``; nothing for None."""
    if words is None:
        return {}
    fields = [attrs.asdict(word) for word in words]
    return {"words": [{"word": word.pop("text"), **word} for word in fields]}


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


def _structure_json[Record: TranscriptRecord](document: str | bytes, record_class: type[Record]) -> Record:
    try:
        verbose = parse_json(document)
        facts = verbose["asrlab"]
    except (ValueError, KeyError, TypeError) as error:
        problem = str(error) if isinstance(error, ValueError) else "no readable 'asrlab' object"
        if isinstance(error, json.JSONDecodeError):
            problem = f"line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
        message = f"this is not a JSON transcript of asrlab: {problem}; write one with to('json')"
        raise DatasetError(message) from error
    schema = facts.get("schema") if isinstance(facts, dict) else None
    if schema not in (1, SCHEMA):
        raise DatasetError(
            f"the transcript has schema {schema!r}, but this asrlab reads schemas 1 and {SCHEMA}; "
            "read the file with the asrlab version that wrote it"
        )
    try:
        shared = {name: verbose[name] for name in _TOP_LEVEL}
        segments = [
            {**fields, "words": words and [{"text": word["word"], **word} for word in words]}
            for fields, words in ((fields, fields.get("words")) for fields in verbose["segments"])
        ]
        if facts.get("path"):  # schema 1
            facts["decoding"] = attrs.asdict(DecodingPath.from_phrase(facts["path"]))
        converter = cattrs.Converter()
        converter.register_structure_hook(
            float | tuple[float, ...] | None,  # a temperature, or those to try in order
            lambda value, _: tuple(value) if isinstance(value, list) else value,
        )
        return converter.structure({**facts, **shared, "segments": segments}, record_class)
    except cattrs.BaseValidationError as error:
        details = "; ".join(cattrs.transform_error(error)[:3])
        raise DatasetError(f"the JSON transcript has wrong fields: {details}; write it anew with to('json')") from error
    except (AsrlabError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"the JSON transcript has wrong fields: {error}; write it anew with to('json')") from error


def _summarize(transcript: TranscriptRecord) -> str:
    return f"{_describe(transcript)}: {quote(transcript.text)}"


def _tabulate(transcript: TranscriptRecord) -> HtmlTable:
    facts = _describe(transcript)
    if not transcript.segments:
        return HtmlTable(caption=(facts, transcript.text))
    rows = [(f"{segment.start:.2f}", f"{segment.end:.2f}", segment.text) for segment in transcript.segments]
    return HtmlTable(caption=(facts,), columns=("start", "end", "text"), rows=rows)


def _describe(transcript: TranscriptRecord) -> str:
    segments = f"{len(transcript.segments)} segment{'' if len(transcript.segments) == 1 else 's'}"
    language = transcript.language or "unknown language"
    return f"{transcript.duration:.2f} s, {language}, {segments}, {transcript.model.name} on {transcript.device}"


@attrs.frozen(kw_only=True, repr=False)
class Transcript(Tabular, TranscriptRecord):
    """The result of one transcription.

    Attributes:
        text: The whole text.
        language: BCP 47 tag of the speech, given or detected; None if the engine does not report one.
        language_probability: Probability of the detected language, in [0, 1]; None if the language was given or the
            engine does not report one.
        segments: Segments in order.
        duration: Seconds of decoded audio.
        device: The device that the model ran on.
        compute_type: Number format of the computation, such as ``int8`` or ``float32``.
        threads: CPU threads that one inference uses; None if the engine does not report them.
        timings: Seconds that each part took.
        model: The model and the weights that ran.
        packages: Distributions that took part, asrlab among them.
        options: The requested options.
        warnings: Facts that a reader of the text should know.
        patches: Status of each patch to another package.
        decoding: Path by which ``transcribe_many`` decoded the recording; None if the engine was not asked for batches.
        track: The transcribed audio track of a file with several; None otherwise.
    """

    _COLUMNS: ClassVar[tuple[str, ...]] = (
        *("start", "end", "text", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"),
    )

    def version_of(self, distribution: str) -> str | None:
        """Return the version of *distribution* that took part; None if it took no part."""
        return next((package.version for package in self.packages if package.name == distribution), None)

    def to(self, format: str, *, name: str = "audio", layout: SubtitleLayout | None = None) -> str:  # noqa: A002 - the field's word for it
        """Return this transcript as a document.

        Args:
            format: ``txt``; ``srt`` or ``vtt``; ``tsv`` (milliseconds); ``json`` (OpenAI's ``verbose_json`` with
                asrlab's own facts under ``asrlab``); ``ctm``, ``stm`` or ``trn`` (sclite's); ``textgrid`` (Praat's);
                ``jsonl`` (a line of the Open ASR Leaderboard's manifests).
            name: Name of the recording in the formats that have one: ``ctm``, ``stm``, ``trn`` and ``jsonl``.
            layout: Layout of subtitles; None uses the defaults of `SubtitleLayout`.

        Raises:
            OptionError: If the format is unknown, or cannot represent the times.
        """
        return self.render(format, DocumentMetadata(name=name, layout=layout or SubtitleLayout()))

    def render(self, format: str, metadata: DocumentMetadata) -> str:  # noqa: A002 - as above
        """Return this transcript as a document with all that *metadata* adds to it; see `to`."""
        if format not in WRITERS:
            message = f"there is no transcript format {format!r}; choose one of {', '.join(WRITERS)}"
            raise OptionError(message, option="format", supported=tuple(WRITERS))
        return WRITERS[format](self, metadata)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``to("json")`` as JSON values, for a web framework or a database."""
        content: dict[str, Any] = json.loads(self.to("json"))
        return content

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one row a segment: times, text and the engine's figures, None where the engine has none."""
        return [{name: getattr(segment, name) for name in self._COLUMNS} for segment in self.segments]

    def _summary(self) -> str:
        return _summarize(self)

    def _html_table(self) -> HtmlTable:
        return _tabulate(self)

    @classmethod
    def from_json(cls, document: str | bytes) -> Transcript:
        """Read a transcript that ``to("json")`` wrote; no field is lost.

        Raises:
            DatasetError: If the document is not JSON, or not a transcript of a version that this asrlab reads.
        """
        return _structure_json(document, cls)


@attrs.frozen(kw_only=True, repr=False)
class TranscribeResult(Summarized):
    """The result of one item of ``transcribe_many``: a transcript or an error, never both.

    Attributes:
        index: Index of the item in the input, from 0.
        item: The item as it was given.
        transcript: The transcript; None if the item failed.
        error: The error; None if the item succeeded.
    """

    index: int
    item: Any
    transcript: Transcript | None = None
    error: Exception | None = None

    def __attrs_post_init__(self) -> None:
        if (self.transcript is None) == (self.error is None):
            raise TypeError("a TranscribeResult needs either a transcript or an error")

    def unwrap(self) -> Transcript:
        """Return the transcript, or raise the error."""
        if self.transcript is None:
            raise self.error or DatasetError("this TranscribeResult has neither a transcript nor an error")
        return self.transcript

    def _summary(self) -> str:
        return f"{self._source()}: {_summarize(self.transcript) if self.transcript else self._failure()}"

    def _html_table(self) -> HtmlTable:
        if self.transcript is None:
            return HtmlTable(caption=(self._source(), self._failure()))
        table = _tabulate(self.transcript)
        return attrs.evolve(table, caption=(self._source(), *table.caption))

    def _source(self) -> str:
        item = self.item
        name = Path(item).name if isinstance(item, str | Path) else getattr(item, "id", type(item).__name__)
        return f"{self.index} ({shorten(str(name), MAX_ITEM_WIDTH)})"

    def _failure(self) -> str:
        return f"failed with {type(self.error).__name__}: {self.error}"
