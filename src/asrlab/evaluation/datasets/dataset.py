"""The records: an utterance, and a data set of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import AsrlabError, DatasetError
from asrlab.languages import language_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from asrlab.audio import AudioSource


def _not_empty(_instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str) or not value:
        raise DatasetError(f"an utterance's {attribute.name} must be text and not empty, but is {value!r}")


def _tag(value: Any) -> Any:
    """Return a language as its tag; what is no text stays for the run's records to refuse."""
    return language_tag(value) if isinstance(value, str) else value


@attrs.frozen(kw_only=True)
class Utterance:
    """A piece of speech, with its reference if there is one.

    Attributes:
        id: Unique in its data set, the same whenever the data set is read.
        audio: Whatever a transcriber takes; from asrlab's own readers a ``Path``, or an ``AudioFile`` for a part of a
            file. That it exists is found out when it is transcribed.
        text: The reference; empty says that nothing is said; None that there is no reference.
        language: BCP 47 tag of the speech; None if not known. It may be given in other ways, such as ``en_US``, ``eng``
            or ``English``; what names no language becomes None.
        speaker: Who speaks, as the data set names them; None if not known.
        recording: The recording it was cut from; None if not known.
    """

    id: str = attrs.field(validator=_not_empty)
    audio: AudioSource
    text: str | None = None
    language: str | None = attrs.field(default=None, converter=_tag)
    speaker: str | None = None
    recording: str | None = None


@attrs.frozen(kw_only=True)
class Dataset:
    """Utterances that are read while they are iterated, as often as it is iterated.

    Attributes:
        name: For tables and records.
        source: Where it comes from, in words.
        licence: Its licence or terms, in words; None if not known.
        read: Gives the utterances from the first on, each time it is called.
        length: How many there are; None if that is not known without reading it.
        unscored: Gives the stretches of the recordings that are not to be scored, where the data set marks such. Words
            in them are no errors, and they are no utterances of the data set.

    Raises:
        DatasetError: While iterating: something cannot be read, or two utterances have the same id.
    """

    name: str
    source: str
    licence: str | None = None
    read: Callable[[], Iterable[Utterance]] = attrs.field(repr=False, eq=False)
    length: int | None = None
    unscored: Callable[[], Iterable[Utterance]] | None = attrs.field(default=None, repr=False, eq=False)

    def __iter__(self) -> Iterator[Utterance]:
        places: dict[str, int] = {}
        for place, utterance in enumerate(self.read(), start=1):
            first = places.setdefault(utterance.id, place)
            if first != place:
                raise DatasetError(
                    f"data set {self.name!r} has two utterances with the id {utterance.id!r}, number {first} and number"
                    f" {place}; give each its own"
                )
            yield utterance

    def count(self) -> int:
        """How many utterances there are; reads the data set where that is not known without.

        Raises:
            DatasetError: It had to be read and cannot be.
        """
        return sum(1 for _ in self) if self.length is None else self.length


@attrs.frozen(kw_only=True)
class DatasetSpec:
    """A data set as a plugin offers it: data, with the code named by a dotted string.

    Attributes:
        name: What it is asked for by.
        description: One line for a list.
        factory: ``package.module:function``, called without an argument, giving a `Dataset`.
    """

    name: str
    description: str
    factory: str

    def load(self) -> Dataset:
        """Import the code and make the data set.

        Raises:
            DatasetError: The code does not import, fails, or gives something else.
        """
        try:
            made = self._call()
        except AsrlabError:
            raise
        except Exception as error:
            # the plugin boundary: whatever a stranger's code raises, its user gets to know which data set it was
            raise DatasetError(
                f"data set {self.name!r} cannot be loaded: {self.factory} raised {type(error).__name__}: {error}; "
                "see: asrlab plugins"
            ) from error
        if not isinstance(made, Dataset):
            raise DatasetError(
                f"data set {self.name!r} cannot be loaded: {self.factory} gave a {type(made).__name__} where a Dataset "
                "is needed; see: asrlab plugins"
            )
        return made

    def _call(self) -> Any:
        module, _, function = self.factory.partition(":")
        return getattr(import_module(module), function)()
