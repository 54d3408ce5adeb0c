"""Checksums and facts of utterances, by which a run recognizes that its data set has changed."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import attrs

from asrlab.audio import Audio, AudioFile, AudioSource
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Utterance
from asrlab.evaluation.runs.records import json_line

_THREADS = 4  # hashlib releases the GIL, and waiting for a disk uses no core
_MAX_PENDING = 64  # utterances whose files are being read
_BLOCK_BYTES = 2**20
_BLOCK_ROWS = 2**16


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


def describe_utterances(
    utterances: Iterable[Utterance], *, progress: Callable[[int], object] | None = None
) -> tuple[UtteranceFacts, ...]:
    """Return the facts of each utterance; read a few audio files at once, and each file once.

    Args:
        utterances: Iterated once, with at most 64 in memory.
        progress: Called after each utterance with the number of finished ones.
    """
    files: dict[str, Future[str]] = {}
    pending: deque[tuple[UtteranceFacts, Callable[[], str]]] = deque()
    done: list[UtteranceFacts] = []

    def finish() -> None:
        facts, digest = pending.popleft()
        done.append(attrs.evolve(facts, audio_sha256=digest()))
        if progress is not None:
            progress(len(done))

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="asrlab-sha256")
    try:
        for utterance in utterances:
            pending.append((_facts(utterance), _start_hash(utterance.audio, files, pool)))
            if len(pending) > _MAX_PENDING:
                finish()
        while pending:
            finish()
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


def _facts(utterance: Utterance) -> UtteranceFacts:
    return UtteranceFacts(
        id=utterance.id,
        reference=utterance.text,
        language=utterance.language,
        speaker=utterance.speaker,
        recording=utterance.recording,
        audio_sha256="",
    )


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
    return _hash_stream(audio)


def _hash_samples(samples: Any, *, rate: int | None) -> str:
    import numpy as np

    if not isinstance(samples, np.ndarray) or samples.dtype.hasobject:
        return f"unreadable: samples of type {getattr(samples, 'dtype', type(samples).__name__)}"
    digest = _hash_header(["samples", samples.dtype.str, list(samples.shape), rate])
    rows = samples if samples.ndim else samples.reshape(1)
    for start in range(0, len(rows), _BLOCK_ROWS):
        digest.update(np.ascontiguousarray(rows[start : start + _BLOCK_ROWS]).data)
    return digest.hexdigest()


def _hash_stream(file: Any) -> str:
    position = file.tell()
    digest = hashlib.sha256()
    try:
        while data := file.read(_BLOCK_BYTES):
            digest.update(data)
    finally:
        file.seek(position)
    return digest.hexdigest()


def _hash_header(header: list[Any]) -> hashlib._Hash:
    """Return a checksum that starts with *header* as JSON, so that no two headers give the same bytes."""
    return hashlib.sha256(json.dumps(header).encode() + b"\n")


def _unreadable(error: Exception) -> str:
    return f"unreadable: {getattr(error, 'strerror', None) or type(error).__name__}"
