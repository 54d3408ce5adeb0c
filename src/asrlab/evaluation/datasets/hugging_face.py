"""The ``datasets`` library's objects: its audio column as bytes or a path, never decoded by it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.paths import audio_slice, default_id
from asrlab.evaluation.datasets.record_reader import RecordReader
from asrlab.evaluation.datasets.tabular import AUDIO_COLUMNS, UtteranceColumns, header_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from asrlab.audio import AudioSource
    from asrlab.evaluation.datasets.format import ReadOptions


_ROWS = ("Dataset", "IterableDataset")
_SPLITS = ("DatasetDict", "IterableDatasetDict")


def is_hugging_face(given: object) -> bool:
    """Whether *given* is an object of the ``datasets`` library, which is not imported to find out."""
    return any(
        kind.__module__.partition(".")[0] == "datasets" and kind.__name__ in (*_ROWS, *_SPLITS)
        for kind in type(given).__mro__
    )


def read_hugging_face(given: Any, options: ReadOptions) -> Dataset:
    """The rows of a ``datasets.Dataset`` or ``IterableDataset``, each fetched when its turn comes.

    The audio is the column with the feature ``Audio``, or one of the usual names with paths; the others go by the names
    that tables use. What the library has as bytes stays bytes, and is decoded by asrlab like a file. The object comes
    from the caller and not from a file, so that its paths may lie anywhere.

    Raises:
        DatasetError: It is a dictionary of splits, or has no column or several for the audio; while iterating: a row
            cannot be read, with its number.

    Source: Hugging Face datasets 5.2, ``features/audio.py``.
    """
    if any(kind.__name__ in _SPLITS for kind in type(given).__mro__):
        raise DatasetError(
            f"the data set has splits ({', '.join(given)}); give one, such as data[{next(iter(given))!r}]"
        )
    columns, source = _columns(given)
    found = UtteranceColumns.find(columns, error=partial(_at, "columns"), options=options)
    name = getattr(getattr(given, "info", None), "dataset_name", None) or "datasets"
    split = str(given.split) if getattr(given, "split", None) else ""
    return Dataset(
        name=f"{name}-{split}" if split else name,
        source=f"datasets object {name}{f', split {split}' if split else ''}",
        read=partial(_utterances, source, found, columns, options),
        length=len(given) if hasattr(given, "__len__") else None,
    )


def _columns(given: Any) -> tuple[dict[str, str], Any]:
    """The columns that count, from the usual name to the object's own, and the object that does not decode."""
    features = given.features
    if features is None:
        first = next(iter(given), None)
        if first is None:
            raise DatasetError("the data set is empty; give one with rows")
        names, audio = list(first), []
    else:
        names = list(features)
        audio = [name for name, kind in features.items() if type(kind).__name__ == "Audio"]
    if len(audio) > 1:
        raise DatasetError(f"the columns {' and '.join(audio)} are both audio; remove_columns() one of them")
    columns = dict(zip(header_names(names), names, strict=True))
    if audio:
        # Common Voice has the clip's path beside the clip, for one
        columns = {name: own for name, own in columns.items() if name not in AUDIO_COLUMNS and own != audio[0]}
        columns["audio"] = audio[0]
        given = given.cast_column(audio[0], _undecoded(features[audio[0]]))
    return columns, given


def _undecoded(feature: Any) -> Any:
    """The same feature without decoding."""
    return type(feature)(sampling_rate=feature.sampling_rate, decode=False)


def _utterances(
    rows: Any, columns: UtteranceColumns, names: Mapping[str, str], options: ReadOptions
) -> Iterator[Utterance]:
    wanted = {name for name in attrs.asdict(columns).values() if name}
    for number, row in enumerate(_fetched(rows, names[columns.audio]), start=1):
        values = {name: row.get(own) for name, own in names.items() if name in wanted}
        yield _utterance(RecordReader(values=values, error=partial(_at, f"row {number}")), columns, number, options)


def _fetched(rows: Any, audio: str) -> Iterator[Any]:
    try:
        yield from rows
    except ImportError as error:  # a stream's audio column asks for torchcodec even where nothing is decoded
        raise DatasetError(
            f"the library datasets cannot give the rows ({error}); install that, or stream paths: "
            f"data.cast_column({audio!r}, datasets.Value('string'))"
        ) from error


def _utterance(fields: RecordReader, columns: UtteranceColumns, number: int, options: ReadOptions) -> Utterance:
    audio, named = _audio(fields, columns)
    text = fields.string(columns.text) if columns.text else None
    if text is None and options.require_text:
        raise fields.error(f"there is no '{columns.text}'; add the reference, or do without (require_text=False)")

    def label(column: str | None) -> str | None:
        return fields.label(column) if column else None

    start = fields.seconds(columns.start) if columns.start else None
    return Utterance(
        id=label(columns.id) or (default_id(named, start) if named else f"row-{number}"),
        audio=audio,
        text=text,
        language=label(columns.language),
        speaker=label(columns.speaker),
        recording=label(columns.recording),
    )


def _audio(fields: RecordReader, columns: UtteranceColumns) -> tuple[AudioSource, str | None]:
    """The audio, and the path that names it."""
    value = fields.values.get(columns.audio)
    held, named = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, value)
    if held is None and not (isinstance(named, str) and named):
        raise fields.error(f"'{columns.audio}' holds neither bytes nor a path")
    start = fields.seconds(columns.start) if columns.start else None
    if held is not None:
        if start:
            raise fields.error(
                f"'{columns.start}' is of audio held as bytes, of which there are no parts; cut the audio"
            )
        return held, named
    end = fields.seconds(columns.end) if columns.end else None
    duration = fields.seconds(columns.duration) if columns.duration and start is not None else None
    if duration is None and end is not None:
        duration = end - (start or 0.0)
    return audio_slice(Path(str(named)), offset=start, duration=duration, error=fields.error), named


def _at(place: str, problem: str) -> DatasetError:
    return DatasetError(f"datasets object, {place}: {problem}")
