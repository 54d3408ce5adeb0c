"""Segment time marks (STM), as sclite scores and TED-LIUM has them."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import attrs

from asrlab.control_characters import unescape_controls
from asrlab.datasets.dataset import Dataset, Utterance
from asrlab.datasets.fields import Fields
from asrlab.datasets.lines import Lines, Seen, first_line
from asrlab.datasets.places import Root, audio_beside, part_of
from asrlab.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from asrlab.audio import AudioFile
    from asrlab.datasets.format import ReadOptions

__all__ = ["StmSegment", "is_stm", "read_stm", "stm_segments"]

_SUFFIX = ".stm"
_FIRST_CHANNEL = ("1", "a")
_COMMENT = ";;"
_IGNORED = "ignore_time_segment_in_scoring"
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_LINE = re.compile(rf"\S+\s+(?:[A-Za-z]|\d)\s+\S+\s+({_NUMBER})\s+({_NUMBER})(?:\s.*)?")
_FIELDS = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+(<[^>\s]*>))?(?:\s+(.*))?")
_ALTERNATIVES = re.compile(r"\{[^{}]*\s/\s[^{}]*\}")


def is_stm(path: Path) -> bool:
    """Whether *path* is called ``.stm`` or its first line has a file, channel, speaker, start and end; or a folder."""
    if path.is_dir():
        return bool(_files(path))
    line = first_line(path)
    if path.suffix.lower() == _SUFFIX:
        return True
    marks = _LINE.fullmatch(line)
    return marks is not None and float(marks[1]) <= float(marks[2])


def read_stm(path: Path, options: ReadOptions) -> Dataset:
    """The segments of a file, or of the ``.stm`` files in a folder or in its folder ``stm``, in the order of the names.

    A line is ``<file> <channel> <speaker> <start> <end> [<label>] text``. The audio is the file of that name, with any
    ending that audio has, beside the STM file or in a folder ``sph``, ``wav`` or ``audio`` beside it or beside its
    folder. Comments (``;;``) and segments that say IGNORE_TIME_SEGMENT_IN_SCORING are left out, and labels too; the
    text is left as it is. Channel 1, or A, is all of the audio: what has several channels is mixed, as everywhere in
    asrlab, so that a second channel is refused.

    Raises:
        DatasetError: There is no STM; while iterating: a line cannot be read, with its number, is of a second channel,
            or leaves open which of several words were said (``{ a / b }``); or its audio is not there.

    Source: NIST SCTK, ``doc/infmts.htm``.
    """
    files = _files(path) if path.is_dir() else [path]
    if not files:
        raise DatasetError(f"folder {path} has no {_SUFFIX} file, and no folder stm with one", path=path)
    if not Lines(path=files[0]).head():
        raise DatasetError(f"{files[0]} is empty; a line is: file, channel, speaker, start, end, text", path=files[0])
    top = path.absolute() if path.is_dir() else path.absolute().parent
    read = partial(_utterances, [file.absolute() for file in files], top, options)
    return Dataset(name=path.resolve().name, source=f"STM {path}", read=read)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}")) or sorted(folder.glob(f"stm/*{_SUFFIX}"))


def _utterances(files: list[Path], top: Path, options: ReadOptions) -> Iterator[Utterance]:
    for place in files:
        lines = Lines(path=place)
        reader = _Reader(
            audio=_audio_for(place.parent, top, options),
            root=Root.of(place.parent, allow_outside=options.allow_outside, top=top),
        )
        seen = Seen(lines=lines, hint="remove one of the two")
        for number, line in lines.text():
            if utterance := reader.utterance(line, partial(lines.error, number)):
                seen.check(utterance.id, number)
                yield utterance


def _audio_for(folder: Path, top: Path, options: ReadOptions) -> dict[str, Path]:
    """The audio that may be meant, by its name without the ending; what lies nearer goes first."""
    above = [folder.parent] if options.allow_outside or folder != top else []
    folders = [folder, *(place / name for place in [folder, *above] for name in ("sph", "wav", "audio"))]
    found: dict[str, Path] = {}
    for place in folders:
        if place.is_dir():
            found = {**audio_beside(place), **found}
    return found


@attrs.frozen(kw_only=True)
class StmSegment:
    """A line.

    Attributes:
        id: ``FILE@START-END``.
        file: The recording's name.
        speaker: Who speaks.
        start: Seconds into the recording.
        end: Seconds into the recording.
        text: As it stands there.
    """

    id: str
    file: str
    speaker: str
    start: float
    end: float
    text: str


def stm_segments(path: Path) -> Iterator[StmSegment]:
    """The segments of a file that are to be scored, whether or not their audio is there.

    Raises:
        DatasetError: A line cannot be read, or is there twice.
    """
    lines = Lines(path=path)
    seen = Seen(lines=lines, hint="remove one of the two")
    for number, line in lines.text():
        if segment := _segment(line, partial(lines.error, number)):
            seen.check(segment.id, number)
            yield segment


def _segment(line: str, error: Callable[[str], DatasetError]) -> StmSegment | None:
    """The segment of a line; None for a comment, or one that is not to be scored."""
    if line.startswith(_COMMENT):
        return None
    found = _FIELDS.fullmatch(line)
    if found is None:
        raise error("has fewer than 5 fields; it needs: file, channel, speaker, start, end, text")
    file, channel, speaker, start, end, _label, text = found.groups()
    if (text or "").strip().lower() == _IGNORED:
        return None
    _check(channel, text or "", error)
    times = Fields(values={"start": start, "end": end}, error=error, written=True)
    return StmSegment(
        id=f"{file}@{start}-{end}",
        file=file,
        speaker=speaker,
        start=times.seconds("start") or 0.0,
        end=times.seconds("end") or 0.0,
        text=unescape_controls(text or ""),
    )


@attrs.frozen(kw_only=True)
class _Reader:
    """How to read a line.

    Attributes:
        audio: See `_audio_for`.
        root: What the audio must not lead out of.
    """

    audio: dict[str, Path]
    root: Root

    def utterance(self, line: str, error: Callable[[str], DatasetError]) -> Utterance | None:
        """The utterance of a line; None for a comment, or a segment that is not to be scored."""
        segment = _segment(line, error)
        if segment is None:
            return None
        return Utterance(
            id=segment.id,
            audio=self._audio(segment, error),
            text=segment.text,
            speaker=segment.speaker,
            recording=segment.file,
        )

    def _audio(self, segment: StmSegment, error: Callable[[str], DatasetError]) -> Path | AudioFile:
        if segment.file not in self.audio:
            raise error(
                f"there is no audio {segment.file!r} beside it, in sph, wav or audio (with an ending such as .wav, "
                ".flac or .sph); put it there, or give the folder above, or allow it with allow_outside=True "
                "(--allow-outside)"
            )
        path = self.root.audio(str(self.audio[segment.file]), field="file", error=error)
        return part_of(path, offset=segment.start, duration=segment.end - segment.start, error=error)


def _check(channel: str, text: str, error: Callable[[str], DatasetError]) -> None:
    if channel.lower() not in _FIRST_CHANNEL:
        raise error(
            f"is of channel {channel!r}, and asrlab mixes the channels of a file; write each channel to a file of its "
            "own, and call it channel 1"
        )
    if several := _ALTERNATIVES.search(text):
        raise error(f"{several[0]!r} leaves open what was said; write what was, or remove the segment")
