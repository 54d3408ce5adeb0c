"""Hugging Face's data sets: objects of the library ``datasets``, and folders in the layout ``audiofolder``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, ReadOptions, Utterance
from asrlab.evaluation.datasets.paths import AudioRoot, default_id
from asrlab.evaluation.datasets.tabular import (
    AUDIO_COLUMNS,
    UtteranceColumns,
    column_names,
    read_header,
    read_table_rows,
)
from asrlab.evaluation.datasets.text_file import RecordReader, TextFile, UniqueIds, first_object, read_objects

_DATASET_TYPES = ("Dataset", "IterableDataset")
_SPLIT_TYPES = ("DatasetDict", "IterableDatasetDict")


def is_hugging_face(value: object) -> bool:
    """Return True if *value* is an object of the library ``datasets``, without importing the library."""
    return any(
        kind.__module__.partition(".")[0] == "datasets" and kind.__name__ in (*_DATASET_TYPES, *_SPLIT_TYPES)
        for kind in type(value).__mro__
    )


def read_hugging_face(data: Any, options: ReadOptions) -> Dataset:
    """Return the rows of a ``datasets.Dataset`` or ``IterableDataset``, fetched while they are iterated.

    The audio is the column with the feature ``Audio``, or a column of paths with one of the usual names. The object
    comes from the caller and not from a file, so its paths may lead anywhere.

    Source: Hugging Face datasets 5.2, ``features/audio.py``.
    """
    if any(kind.__name__ in _SPLIT_TYPES for kind in type(data).__mro__):
        raise DatasetError(f"the data set has splits ({', '.join(data)}); give one, such as data[{next(iter(data))!r}]")
    names, undecoded = _select_columns(data)
    columns = UtteranceColumns.find(names, error=partial(_error_at, "columns"), options=options)
    name = getattr(getattr(data, "info", None), "dataset_name", None) or "datasets"
    split = str(data.split) if getattr(data, "split", None) else ""
    return Dataset(
        name=f"{name}-{split}" if split else name,
        source=f"datasets object {name}{f', split {split}' if split else ''}",
        read=partial(_read_object, undecoded, columns, names, options),
        length=len(data) if hasattr(data, "__len__") else None,
    )


def _select_columns(data: Any) -> tuple[dict[str, str], Any]:
    """Return the object's columns by their names as tables use them, and the object with audio left undecoded."""
    features = data.features
    if features is None:
        first = next(iter(data), None)
        if first is None:
            raise DatasetError("the data set is empty; give one with rows")
        names, audio = list(first), []
    else:
        names = list(features)
        audio = [name for name, kind in features.items() if type(kind).__name__ == "Audio"]
    if len(audio) > 1:
        raise DatasetError(f"the columns {' and '.join(audio)} are both audio; remove_columns() one of them")
    columns = dict(zip(column_names(names), names, strict=True))
    if audio:
        # Common Voice, for example, has the clip's path in a column beside the clip
        columns = {name: own for name, own in columns.items() if name not in AUDIO_COLUMNS and own != audio[0]}
        columns["audio"] = audio[0]
        feature = features[audio[0]]
        data = data.cast_column(audio[0], type(feature)(sampling_rate=feature.sampling_rate, decode=False))
    return columns, data


def _read_object(
    rows: Any, columns: UtteranceColumns, names: Mapping[str, str], options: ReadOptions
) -> Iterator[Utterance]:
    wanted = {name for found in columns.names.values() for name in found}
    [audio_column] = columns.names["audio"]
    for number, row in enumerate(_fetch(rows, names[audio_column]), start=1):
        values = {name: row.get(own) for name, own in names.items() if name in wanted}
        record = RecordReader(values=values, error=partial(_error_at, f"row {number}"))
        value, start = values[audio_column], columns.seconds(record, "start")
        data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, value)
        if data is None and not (isinstance(path, str) and path):
            raise record.error(f"'{audio_column}' holds neither bytes nor a path")
        if data is not None and start:
            raise record.error(f"'{columns.names['start'][0]}' does not apply to audio held as bytes; cut the audio")
        audio = columns.slice(record, Path(str(path))) if data is None else data
        yield columns.utterance(record, audio, default_id(path, start) if path else f"row-{number}", options)


def _fetch(rows: Any, audio: str) -> Iterator[Any]:
    try:
        yield from rows
    except ImportError as error:  # a stream's audio column needs torchcodec even if nothing is decoded
        raise DatasetError(
            f"the library datasets cannot give the rows ({error}); install that, or stream paths: "
            f"data.cast_column({audio!r}, datasets.Value('string'))"
        ) from error


def _error_at(position: str, problem: str) -> DatasetError:
    return DatasetError(f"datasets object, {position}: {problem}")


_METADATA_NAMES = ("metadata.csv", "metadata.jsonl")
_FILE_COLUMN = "file_name"


def sniff_audiofolder(path: Path) -> bool:
    """Return True for metadata in JSONL with ``file_name``, or a folder with metadata, also in folders for splits."""
    return bool(_metadata(path) or _metadata(path, "*", "*/*")) if path.is_dir() else _FILE_COLUMN in first_object(path)


def read_audiofolder(path: Path, options: ReadOptions) -> Dataset:
    """Return the files that an audiofolder's metadata names; *path* is the folder of a split, or its metadata.

    Source: Hugging Face datasets, "Create an audio dataset".
    """
    metadata = _find_metadata(path)
    if path.is_dir():
        AudioRoot.at(path.absolute(), options).check(metadata.absolute())
    is_csv = metadata.suffix.lower() == ".csv"
    UtteranceColumns.find(
        read_header(metadata, ",") if is_csv else first_object(metadata),
        error=lambda problem: DatasetError(f"the first line of {metadata}: {problem}", path=metadata),
        options=options,
    )
    reader = partial(read_table_rows, delimiter=",") if is_csv else _read_metadata_objects
    return Dataset(
        name=path.resolve().name, source=f"audiofolder {path}", read=partial(reader, metadata.absolute(), options)
    )


def _find_metadata(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = _metadata(path) or _metadata(path, "*", "*/*")
    if not files:
        raise DatasetError(
            f"folder {path} has no {' or '.join(_METADATA_NAMES)} with a column '{_FILE_COLUMN}'; add one, or give "
            "another folder",
            path=path,
        )
    if len(files) > 1 or files[0].parent != path:
        choices = map(str, files if files[0].parent == path else [file.parent for file in files])
        raise DatasetError(f"folder {path} has several metadata files; give one: {', '.join(choices)}", path=path)
    return files[0]


def _metadata(folder: Path, *patterns: str) -> list[Path]:
    """Return the metadata files in *folder*, or in its subfolders that match *patterns*, that name audio files."""
    paths = [folder / name for name in _METADATA_NAMES]
    if patterns:
        globs = [f"{pattern}/{name}" for pattern in patterns for name in _METADATA_NAMES]
        paths = sorted(path for glob in globs for path in folder.glob(glob))
    return [
        path
        for path in paths
        if _FILE_COLUMN in (read_header(path, ",") if path.suffix == ".csv" else first_object(path))
    ]


def _read_metadata_objects(path: Path, options: ReadOptions) -> Iterator[Utterance]:
    file, root = TextFile(path=path), AudioRoot.at(path.parent, options)

    def read(record: RecordReader) -> Utterance:
        # the keys of each line, since JSON omits absent values
        columns = UtteranceColumns.find(record.values, error=record.error, options=options)
        return columns.read(record, root, options)

    ids = UniqueIds(file=file, hint="give each line its own 'id'")
    return ids.check((number, read(record)) for number, record in read_objects(file))
