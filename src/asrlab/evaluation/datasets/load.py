"""Load a data set by its name or path, and choose the format of a path."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from os import PathLike
from pathlib import Path

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets import folder, hugging_face, manifest, stm, tabular
from asrlab.evaluation.datasets.dataset import (
    Dataset,
    DatasetFormat,
    DatasetSpec,
    ExternalAudioPolicy,
    ReadOptions,
    Utterance,
)
from asrlab.evaluation.datasets.text_file import TextFile, first_line

SMOKE = DatasetSpec(
    name="smoke",
    description="five short clips of read English, embedded in asrlab; they show that it works and rank nothing",
    factory="asrlab.evaluation.datasets.load:smoke",
)


def smoke() -> Dataset:
    """Return the smoke set: five clips, 24.7 seconds and 70 words of one reader.

    The clips show that an engine works. Five clips of one clear voice cannot rank models. ``smoke/SOURCE.md`` beside
    this file has their source and checksums.
    """
    root = Path(__file__).parent / "smoke"

    def read() -> Iterator[Utterance]:
        for line in (root / "utterances.jsonl").read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            audio = root / values["audio_filepath"]
            texts = {key: values[key] for key in ("id", "text", "language", "speaker", "recording")}
            yield Utterance(audio=audio, **texts)

    return Dataset(
        name="smoke",
        source="LibriVox, Jane Austen: Sense and Sensibility, chapter 1; clips from the tests of pocketsphinx 5.1.1",
        licence="public domain",
        read=read,
        length=5,
    )


FORMATS = tuple(
    DatasetFormat(name=name, description=description, sniffer=sniffer, read=read)
    for name, description, sniffer, read in (
        ("audiofolder", "Hugging Face's audiofolder", hugging_face.sniff_audiofolder, hugging_face.read_audiofolder),
        ("common-voice", "a table of Common Voice beside clips", tabular.sniff_common_voice, tabular.read_common_voice),
        ("csv", "CSV or TSV with named columns", tabular.sniff_other_table, tabular.read_table),
        ("folder", "a folder of audio with same-named .txt files", folder.sniff_folder, folder.read_folder),
        ("kaldi", "a Kaldi data directory", folder.sniff_kaldi, folder.read_kaldi),
        ("lhotse", "Lhotse's manifests", manifest.sniff_lhotse, manifest.read_lhotse),
        ("librispeech", "LibriSpeech's tree", folder.sniff_librispeech, folder.read_librispeech),
        ("nemo", "a JSONL manifest", manifest.sniff_manifest, manifest.read_manifest),
        ("stm", "segment time marks (STM)", stm.sniff_stm, stm.read_stm),
    )
)
"""All formats, ordered by name."""


def load_dataset(
    name_or_path: str | PathLike[str] | object,
    *,
    specs: Iterable[DatasetSpec] = (),
    format: str | None = None,  # noqa: A002 - as on the command line
    require_text: bool = True,
    allow_external_audio: ExternalAudioPolicy = False,
) -> Dataset:
    """Load the data set called *name_or_path*, or the one at that path.

    Args:
        name_or_path: An object of the library ``datasets``; ``smoke``; the name of one of *specs*; or a file or folder
            in one of the formats (`FORMATS`). A name takes precedence over a file or folder of the same name: write
            ``./smoke`` for the folder.
        specs: The named data sets besides ``smoke``.
        format: Name of a file's or folder's format; None recognizes it by names and first lines.
        require_text: Refuse an utterance without a reference in a file or folder. If False, its ``text`` is None.
        allow_external_audio: Accept files outside the folder that a data set names or links to; see `ReadOptions`.

    Raises:
        DatasetError: If there is no such data set, the name or format is ambiguous, or it cannot be read.
        OptionError: If there is no such format, or a format is given for a named data set or an object.
    """
    options = ReadOptions(require_text=require_text, allow_external_audio=allow_external_audio)
    if hugging_face.is_hugging_face(name_or_path):
        if format is not None:
            raise OptionError("a format is for files and folders, not for an object; leave it out", option="format")
        return hugging_face.read_hugging_face(name_or_path, options)
    if not isinstance(name_or_path, str | PathLike):
        kind = type(name_or_path).__name__
        raise DatasetError(f"a {kind} is not a data set; give a name, a path, or an object of the library datasets")
    # a repeated spec counts once, so that a plugin hook may also return ``smoke``
    known = tuple(dict.fromkeys((SMOKE, *specs)))
    named = [spec for spec in known if spec.name == name_or_path]
    if len(named) > 1:
        raise DatasetError(
            f"data set {name_or_path!r} is offered twice, by {' and by '.join(spec.factory for spec in named)}; remove "
            "or disable the plugin that is not meant (see: asrlab plugins)"
        )
    chosen = None if format is None else get_format(format)
    if named and chosen:
        raise OptionError(
            f"a format is for files and folders, and {name_or_path!r} is a name; leave it out, or write "
            f"./{name_or_path} for the file or folder",
            option="format",
        )
    if named:
        return named[0].load()
    path = Path(name_or_path)
    _check_path(path, known)
    return (chosen or sniff_format(path)).read(path, options)


def _check_path(path: Path, known: tuple[DatasetSpec, ...]) -> None:
    try:
        mode = path.stat().st_mode
    except PermissionError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); check its permissions", path=path) from error
    except (OSError, ValueError):  # ValueError: a null byte in the name
        names = [spec.name for spec in known]
        near = get_close_matches(str(path), names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise DatasetError(
            f"there is no data set, file or folder {str(path)!r}; {hint}give a name ({', '.join(names)}), a folder of "
            "audio with same-named .txt files, or a JSONL manifest",
            path=path,
        ) from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        problem = "is neither a file nor a folder; give a JSONL manifest or a folder of audio"
        raise DatasetError(f"{path} {problem}", path=path)


def get_format(name: str) -> DatasetFormat:
    """Return the format called *name*; raise `OptionError` if there is none."""
    formats = {known.name: known for known in FORMATS}
    if name in formats:
        return formats[name]
    near = get_close_matches(name, formats, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise OptionError(
        f"there is no format {name!r} of data sets; {hint}choose one of {', '.join(formats)}",
        option="format",
        supported=tuple(formats),
    )


def sniff_format(path: Path) -> DatasetFormat:
    """Recognize the format of the file or folder *path*; raise `DatasetError` if none fits, or several do."""
    fitting = [known for known in FORMATS if known.sniff(path)]
    if len(fitting) > 1:
        raise DatasetError(
            f"{path} could be {' or '.join(known.description for known in fitting)}; choose with "
            f"{' or '.join(f'format={known.name!r}' for known in fitting)} (--format NAME)",
            path=path,
        )
    if fitting:
        return fitting[0]
    if path.is_dir():
        return get_format("folder")  # its reader reports what a folder needs
    head = TextFile(path=path).head()
    if path.suffix.lower() in (".json", ".jsonl") or head.startswith(b"{"):
        return get_format("nemo")  # its reader reports what a line needs
    problem = f"begins with {first_line(path)[:60]!r}" if head else "is empty"
    raise DatasetError(
        f"{path} is not a data set in a format that asrlab recognizes: it {problem}; name its format "
        f"({', '.join(known.name for known in FORMATS)}) with format= or --format (single files of audio are for: "
        "asrlab transcribe)",
        path=path,
    )
