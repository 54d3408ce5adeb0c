"""Records of data sets: an utterance, a data set, a named data set and a format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import attrs

from asrlab.audio import AudioSource
from asrlab.errors import AsrlabError, DatasetError
from asrlab.evaluation.alternatives import Alternatives
from asrlab.languages import language_tag

ExternalAudioPolicy = bool | Literal["audio"]
"""Permission for files outside the given folder: none, all, or with ``audio`` only audio, which is not opened."""


def _not_empty(_instance: object, _attribute: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str) or not value:
        raise DatasetError(f"an utterance's id must be text and not empty, but is {value!r}")


def _tag(value: Any) -> Any:
    """Return a language as its tag; leave anything but text for the run's records to refuse."""
    return language_tag(value) if isinstance(value, str) else value


@attrs.frozen(kw_only=True)
class Utterance:
    """A recording of speech, with its reference if there is one.

    Attributes:
        id: Identifier, unique in the data set and the same each time the data set is read.
        audio: Any source that a transcriber accepts. asrlab's own readers give a ``Path``, or an ``AudioFile`` for a
            part of a file. The audio is first opened when it is transcribed.
        text: The reference text. Empty if nothing is spoken; None without a reference.
        language: BCP 47 tag of the speech; None if unknown. Other forms, such as ``en_US``, ``eng`` and ``English``,
            are converted, and a value that names no language becomes None.
        speaker: Speaker name in the data set; None if unknown.
        recording: Name of the recording that contains the utterance; None if unknown.
    """

    id: str = attrs.field(validator=_not_empty)
    audio: AudioSource
    text: str | None = None
    language: str | None = attrs.field(default=None, converter=_tag)
    speaker: str | None = None
    recording: str | None = None


@attrs.frozen(kw_only=True)
class Reference:
    """The reference text of one utterance; start and end are in seconds from the start of the recording."""

    id: str
    text: str  # empty if nothing is spoken
    language: str | None = attrs.field(default=None, converter=language_tag)
    speaker: str | None = None
    recording: str | None = None
    start: float | None = None  # None without times
    end: float | None = None  # None without times, and for the recording's end
    track: str | None = None  # channel of the recording that the times refer to
    alternatives: Alternatives | None = attrs.field(default=None, repr=False)  # if the text has several readings
    is_ignored: bool = False  # a part of the recording that is excluded from scoring, and not an utterance


@attrs.frozen(kw_only=True)
class Dataset:
    """Utterances that are read each time the data set is iterated.

    Attributes:
        name: Name for tables and records.
        source: Origin of the data, in words.
        licence: Licence or terms, in words; None if unknown.
        read: Function that yields the utterances from the first one on.
        length: Number of utterances; None if only a reading of the data set can count them.
        unscored: Function that yields the parts of the recordings that are excluded from scoring, where the data set
            marks such parts. They are not utterances of the data set.

    Raises:
        DatasetError: While iterating, if something cannot be read, or two utterances have the same id.
    """

    name: str
    source: str
    licence: str | None = None
    read: Callable[[], Iterable[Utterance]] = attrs.field(repr=False, eq=False)
    length: int | None = None
    unscored: Callable[[], Iterable[Utterance]] | None = attrs.field(default=None, repr=False, eq=False)

    def __iter__(self) -> Iterator[Utterance]:
        positions: dict[str, int] = {}
        for position, utterance in enumerate(self.read(), start=1):
            first = positions.setdefault(utterance.id, position)
            if first != position:
                raise DatasetError(
                    f"data set {self.name!r} has two utterances with the id {utterance.id!r}, number {first} and number"
                    f" {position}; give each its own"
                )
            yield utterance

    def count(self) -> int:
        """Count the utterances; read the data set if its length is unknown.

        Raises:
            DatasetError: If the data set has to be read and cannot be.
        """
        return sum(1 for _ in self) if self.length is None else self.length


@attrs.frozen(kw_only=True)
class DatasetSpec:
    """A named data set that a plugin offers, with a dotted reference to its code.

    Attributes:
        name: Name to load the data set by.
        description: One line for a list.
        factory: ``package.module:function``, called without arguments, which returns a `Dataset`.
    """

    name: str
    description: str
    factory: str

    def load(self) -> Dataset:
        """Import the factory and call it.

        Raises:
            DatasetError: If the factory cannot be imported, fails, or returns another type.
        """
        module, _, function = self.factory.partition(":")
        problem = f"data set {self.name!r} cannot be loaded: {self.factory}"
        try:
            dataset = getattr(import_module(module), function)()
        except AsrlabError:
            raise
        except Exception as error:
            # the plugin boundary: name the data set, whatever the plugin's code raises
            raise DatasetError(f"{problem} raised {type(error).__name__}: {error}; see: asrlab plugins") from error
        if isinstance(dataset, Dataset):
            return dataset
        raise DatasetError(f"{problem} returned a {type(dataset).__name__} instead of a Dataset; see: asrlab plugins")


@attrs.frozen(kw_only=True)
class ReadOptions:
    """Options of every reader.

    Attributes:
        require_text: Refuse an utterance without a reference. If False, its ``text`` is None.
        allow_external_audio: Accept files outside the given folder, or outside the folder of the given file: audio that
            the data set names, and audio and text files that are links to other folders.
    """

    require_text: bool = True
    allow_external_audio: ExternalAudioPolicy = False


@attrs.frozen(kw_only=True)
class DatasetFormat:
    """A file format of data sets.

    Attributes:
        name: Name to select the format by.
        description: A few words for a list.
        sniffer: Function that returns True if a path looks like this format, by names and first lines only.
        read: Function that returns the data set at a path. It checks names and first lines at once, and reads the
            utterances while they are iterated. It raises `DatasetError` with the file and, where there is one, the line
            number: for a wrong or missing file, a bad or repeated line, or an utterance without required audio or text.
    """

    name: str
    description: str
    sniffer: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], Dataset]

    def sniff(self, path: Path) -> bool:
        """Return True if *path* looks like this format; False if *path* cannot be inspected."""
        try:
            return self.sniffer(path)
        except (OSError, ValueError):  # no permission, a name that is too long, a null byte in it
            return False
