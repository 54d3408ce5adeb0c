"""Facts of utterances: checksums, by which a run recognizes that its data set has changed, and languages."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import attrs

from asrlab.audio import Audio, AudioFile, AudioSource
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Utterance
from asrlab.evaluation.runs.records import json_line
from asrlab.languages import language_tag, primary_language
from asrlab.options import TranscribeOptions

_THREADS = 4  # hashlib releases the GIL, and waiting for a disk uses no core
_MAX_PENDING = 64  # utterances whose files are being read
_BLOCK_BYTES = 2**20
_BLOCK_ROWS = 2**16
_MAX_LISTED = 5
_EQUIVALENT = {"fil": "tl", "jv": "jw", "nb": "no", "yue": "zh"}
"""Codes that models use for the same language, or for languages with the same spelling."""


def _check_text(_facts: UtteranceFacts, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) and (value is not None or field.default is attrs.NOTHING):
        raise DatasetError(f"an utterance's {field.name} must be text, but is {value!r}")


@attrs.frozen(kw_only=True)
class UtteranceFacts:
    """Facts of an utterance as a run records them.

    Attributes:
        id: Id of the utterance.
        reference: Reference text; None if the data set has none.
        language: BCP 47 tag of the spoken language; None if not known.
        speaker: The data set's name for the speaker; None if not known.
        recording: The data set's name for the recording; None if not known.
        audio_sha256: Checksum, as the function `audio_sha256` returns it.
    """

    id: str = attrs.field(validator=_check_text)
    reference: str | None = attrs.field(default=None, validator=_check_text)
    language: str | None = attrs.field(default=None, validator=_check_text)
    speaker: str | None = attrs.field(default=None, validator=_check_text)
    recording: str | None = attrs.field(default=None, validator=_check_text)
    audio_sha256: str = attrs.field(validator=_check_text)

    def to_line(self) -> bytes:
        """Return the facts as a line of JSON, line end included, without fields that are None."""
        plain = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        return json_line(plain)

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Return the facts with the JSON values of a line from `to_line`.

        Raises:
            DatasetError: If *plain* has other fields.
        """
        try:
            return cls(**plain)
        except TypeError as error:
            raise DatasetError(f"not the facts of an utterance: {error}") from error


def describe_utterances(utterances: Iterable[Utterance]) -> tuple[UtteranceFacts, ...]:
    """Return the facts of each utterance; read a few audio files at once, and each file once.

    Args:
        utterances: Iterated once, with at most 64 in memory.
    """
    files: dict[str, Future[str]] = {}
    pending: deque[tuple[UtteranceFacts, Callable[[], str]]] = deque()
    done: list[UtteranceFacts] = []

    def finish(most: int) -> None:
        while len(pending) > most:
            facts, digest = pending.popleft()
            done.append(attrs.evolve(facts, audio_sha256=digest()))

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="asrlab-sha256")
    try:
        for utterance in utterances:
            names = {name: getattr(utterance, name) for name in ("id", "language", "speaker", "recording")}
            facts = UtteranceFacts(reference=utterance.text, audio_sha256="", **names)
            pending.append((facts, _start_hash(utterance.audio, files, pool)))
            finish(_MAX_PENDING)
        finish(0)
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(done)


def dataset_fingerprint(facts: Iterable[UtteranceFacts]) -> str:
    """Return the sha256 of all *facts*, in order."""
    digest = hashlib.sha256()
    for utterance in facts:
        digest.update(utterance.to_line())  # JSON strings have no line ends, so no two lists give the same bytes
    return digest.hexdigest()


def audio_sha256(audio: AudioSource) -> str:
    """Return the sha256 of *audio*, which does not depend on its path.

    The hash covers the undecoded bytes of a file or of bytes; for a part of a file also its position; for samples also
    their type, shape and rate. A file object is read from its position, which is restored.

    Returns:
        Hexadecimal digits; or ``unreadable: `` and the reason, because a missing file must not stop the other
        utterances, and is reported when it is transcribed.
    """
    path = _path(audio)
    if path is not None:
        return _hash_part(audio, _hash_file(path))
    try:
        return _hash_object(audio)
    except Exception as error:  # noqa: BLE001 - a file object, or an array, may raise anything
        return _unreadable(error)


def _start_hash(audio: AudioSource, files: dict[str, Future[str]], pool: ThreadPoolExecutor) -> Callable[[], str]:
    """Return a function that waits for the checksum of *audio*; it holds no samples."""
    path = _path(audio)
    if path is None:
        digest = audio_sha256(audio)
        return lambda: digest
    if path not in files:
        files[path] = pool.submit(_hash_file, path)
    future = files[path]
    return lambda: _hash_part(audio, future.result())


def _path(audio: AudioSource) -> str | None:
    """Return the path of a file or of a part of a file; None for other sources."""
    source = audio.path if isinstance(audio, AudioFile) else audio
    return os.fsdecode(source) if isinstance(source, str | os.PathLike) else None


def _hash_file(path: str) -> str:
    try:
        file_path = Path(path)
        if not stat.S_ISREG(file_path.stat().st_mode):  # a pipe can be read only once
            return "unreadable: not a regular file"
        with file_path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        return _unreadable(error)


def _hash_part(audio: AudioSource, digest: str) -> str:
    """Return the checksum of a part of a file with *digest*; the whole file has the digest itself."""
    if not isinstance(audio, AudioFile) or (not audio.offset and audio.duration is None and audio.track is None):
        return digest
    if digest.startswith("unreadable"):
        return digest
    end = None if audio.duration is None else float(audio.duration)
    track = [] if audio.track is None else [audio.track]
    return _hash_header(["part", digest, float(audio.offset), end, *track]).hexdigest()


def _hash_object(audio: Any) -> str:
    import numpy as np

    if isinstance(audio, bytes | bytearray | memoryview):
        return hashlib.sha256(audio).hexdigest()
    if isinstance(audio, np.ndarray):
        return _hash_samples(audio, rate=None)
    if isinstance(audio, Audio):
        return _hash_samples(audio.samples, rate=audio.sample_rate)
    position, digest = audio.tell(), hashlib.sha256()
    try:
        while data := audio.read(_BLOCK_BYTES):
            digest.update(data)
    finally:
        audio.seek(position)
    return digest.hexdigest()


def _hash_samples(samples: Any, *, rate: int | None) -> str:
    import numpy as np

    if not isinstance(samples, np.ndarray) or samples.dtype.hasobject:
        return f"unreadable: samples of type {getattr(samples, 'dtype', type(samples).__name__)}"
    digest = _hash_header(["samples", samples.dtype.str, list(samples.shape), rate])
    rows = samples if samples.ndim else samples.reshape(1)
    for start in range(0, len(rows), _BLOCK_ROWS):
        digest.update(np.ascontiguousarray(rows[start : start + _BLOCK_ROWS]).data)
    return digest.hexdigest()


def _hash_header(header: list[Any]) -> hashlib._Hash:
    """Return a checksum that starts with *header* as JSON, so that no two headers give the same bytes."""
    return hashlib.sha256(json.dumps(header).encode() + b"\n")


def _unreadable(error: Exception) -> str:
    return f"unreadable: {getattr(error, 'strerror', None) or type(error).__name__}"


@attrs.frozen(kw_only=True)
class UnsupportedLanguages:
    """Utterances in languages that a model was not made for.

    Attributes:
        known: Primary subtags of the languages that the model was made for.
        spoken: The other languages of the utterances with their number of utterances, the most frequent first.
        total: Number of all utterances.
    """

    known: tuple[str, ...]
    spoken: tuple[tuple[str, int], ...]
    total: int

    @property
    def utterances(self) -> int:
        """Number of utterances in languages that the model was not made for."""
        return sum(count for _, count in self.spoken)

    @property
    def remark(self) -> str:
        """A phrase beside a model's name, such as ``not made for de, fr``."""
        return f"not made for {_listed([language for language, _ in self.spoken])}"

    def sentence(self, model: str) -> str:
        """Return a warning about *model* with the numbers of utterances."""
        spoken = _listed([f"{language} {count}" for language, count in self.spoken])
        known = ", ".join(self.known) if len(self.known) <= _MAX_LISTED else f"{len(self.known)} other languages"
        return (
            f"{model} was not made for {self.utterances} of {self.total} utterances ({spoken}): it was made for "
            f"{known}, so its texts and error rate there mean little"
        )


def spoken_language(named: str | None, options: TranscribeOptions) -> str | None:
    """Return the tag of an utterance's language: *named* by the data set, else by *options*, else None."""
    return language_tag(named) or options.language


def text_language(spoken: str | None, options: TranscribeOptions) -> str | None:
    """Return the tag of a text's language: English if speech is translated, else the *spoken* one."""
    return "en" if options.task == "translate" else spoken


def unsupported_languages(known: tuple[str, ...] | None, spoken: Iterable[str | None]) -> UnsupportedLanguages | None:
    """Return the languages of utterances, if known, that a model with *known* ones was not made for; None if none."""
    if not known:
        return None
    languages = [primary_language(tag) for tag in spoken]
    supported = {*known, *(code for code, same in _EQUIVALENT.items() if same in known)}
    others = Counter(language for language in languages if language is not None and language not in supported)
    if not others:
        return None
    return UnsupportedLanguages(known=known, spoken=tuple(others.most_common()), total=len(languages))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more
