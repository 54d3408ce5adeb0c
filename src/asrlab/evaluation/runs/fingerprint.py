"""What a data set is, utterance by utterance: its bytes and its words, so that a run knows whether they changed."""

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

_THREADS = 4  # hashlib lets others run meanwhile, and waiting for a disk takes no core
_WAITING = 64  # utterances whose files are being read
_BLOCK_BYTES = 2**20
_LEAST_ROWS = 2**16


def _text(_facts: UtteranceFacts, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) and (value is not None or field.default is attrs.NOTHING):
        raise DatasetError(f"an utterance's {field.name} must be text, but is {value!r}")


@attrs.frozen(kw_only=True)
class UtteranceFacts:
    """One utterance, as a run's records keep it.

    Attributes:
        id: The utterance's id.
        reference: What was said; None if the data set does not tell.
        language: BCP 47 tag of the speech; None if not known.
        speaker: As the data set names them; None if not known.
        recording: The recording it was cut from; None if not known.
        audio_sha256: See `audio_sha256`.
    """

    id: str = attrs.field(validator=_text)
    reference: str | None = attrs.field(default=None, validator=_text)
    language: str | None = attrs.field(default=None, validator=_text)
    speaker: str | None = attrs.field(default=None, validator=_text)
    recording: str | None = attrs.field(default=None, validator=_text)
    audio_sha256: str = attrs.field(validator=_text)

    def to_line(self) -> bytes:
        """As one JSON object on a line, with its end; None is left out."""
        plain = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        return json_line(plain)

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Read back what `to_line` gave, from its JSON values.

        Raises:
            DatasetError: It is something else.
        """
        try:
            return cls(**plain)
        except TypeError as error:
            raise DatasetError(f"a line that is no utterance of a run: {error}") from error


def describe_utterances(
    utterances: Iterable[Utterance], *, progress: Callable[[int], object] | None = None
) -> tuple[UtteranceFacts, ...]:
    """The facts of each utterance, with its audio read: a few files at once, and each file once.

    Args:
        utterances: Iterated once; no more than 64 are held.
        progress: Called with the number that is done, after each.
    """
    files: dict[str, Future[str]] = {}
    waiting: deque[tuple[UtteranceFacts, Callable[[], str]]] = deque()
    done: list[UtteranceFacts] = []

    def finish() -> None:
        facts, digest = waiting.popleft()
        done.append(attrs.evolve(facts, audio_sha256=digest()))
        if progress is not None:
            progress(len(done))

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="asrlab-sha256")
    try:
        for utterance in utterances:
            waiting.append((_facts(utterance), _digest_of(utterance.audio, files, pool)))
            if len(waiting) > _WAITING:
                finish()
        while waiting:
            finish()
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(done)


def dataset_fingerprint(facts: Iterable[UtteranceFacts]) -> str:
    """sha256 of all of it, in order."""
    digest = hashlib.sha256()
    for each in facts:
        digest.update(each.to_line())  # JSON has no bare end of line, so nothing can pass for something else
    return digest.hexdigest()


def audio_sha256(audio: AudioSource) -> str:
    """sha256 of what is transcribed: the same for the same audio, wherever it lies.

    A file, and bytes, are hashed as they are, not decoded; a part of a file with its place; samples with their type,
    shape and rate; a file object from where it stands, and it is put back there.

    Returns:
        Hexadecimal digits; or ``unreadable: `` and the reason: that a file is missing is found out again when it is
        transcribed, and must not stop the rest.
    """
    path = _path(audio)
    if path is not None:
        return _of_part(audio, _of_file(path))
    try:
        return _of_object(audio)
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


def _digest_of(audio: AudioSource, files: dict[str, Future[str]], pool: ThreadPoolExecutor) -> Callable[[], str]:
    """What gives the checksum of *audio* once it is there; samples are not held for it."""
    path = _path(audio)
    if path is None:
        there = audio_sha256(audio)
        return lambda: there
    if path not in files:
        files[path] = pool.submit(_of_file, path)
    future = files[path]
    return lambda: _of_part(audio, future.result())


def _path(audio: AudioSource) -> str | None:
    """The path of a file, or of a part of one; None for anything else."""
    source = audio.path if isinstance(audio, AudioFile) else audio
    return os.fsdecode(source) if isinstance(source, str | os.PathLike) else None


def _of_file(path: str) -> str:
    try:
        where = Path(path)
        if not stat.S_ISREG(where.stat().st_mode):  # a pipe gives what it holds only once
            return "unreadable: not a regular file"
        with where.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        return _unreadable(error)


def _of_part(audio: AudioSource, digest: str) -> str:
    """A part's, from its file's *digest*; a part that is all of the file is the file."""
    if not isinstance(audio, AudioFile) or (not audio.offset and audio.duration is None and audio.track is None):
        return digest
    if digest.startswith("unreadable"):
        return digest
    end = None if audio.duration is None else float(audio.duration)
    track = [] if audio.track is None else [audio.track]
    return _of_header(["part", digest, float(audio.offset), end, *track]).hexdigest()


def _of_object(audio: Any) -> str:
    import numpy as np

    if isinstance(audio, bytes | bytearray | memoryview):
        return hashlib.sha256(audio).hexdigest()
    if isinstance(audio, np.ndarray):
        return _of_samples(audio, rate=None)
    if isinstance(audio, Audio):
        return _of_samples(audio.samples, rate=audio.sample_rate)
    return _of_stream(audio)


def _of_samples(samples: Any, *, rate: int | None) -> str:
    import numpy as np

    if not isinstance(samples, np.ndarray) or samples.dtype.hasobject:
        return f"unreadable: samples of type {getattr(samples, 'dtype', type(samples).__name__)}"
    digest = _of_header(["samples", samples.dtype.str, list(samples.shape), rate])
    rows = samples if samples.ndim else samples.reshape(1)
    for start in range(0, len(rows), _LEAST_ROWS):
        digest.update(np.ascontiguousarray(rows[start : start + _LEAST_ROWS]).data)
    return digest.hexdigest()


def _of_stream(file: Any) -> str:
    position = file.tell()
    digest = hashlib.sha256()
    try:
        while data := file.read(_BLOCK_BYTES):
            digest.update(data)
    finally:
        file.seek(position)
    return digest.hexdigest()


def _of_header(header: list[Any]) -> hashlib._Hash:
    """A checksum that has begun with *header*; JSON, so that no two headers are the same bytes."""
    return hashlib.sha256(json.dumps(header).encode() + b"\n")


def _unreadable(error: Exception) -> str:
    return f"unreadable: {getattr(error, 'strerror', None) or type(error).__name__}"
