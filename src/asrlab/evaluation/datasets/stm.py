"""Segment time marks (STM), as sclite scores and TED-LIUM has them."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab.audio import AudioFile
from asrlab.control_characters import unescape_controls
from asrlab.errors import DatasetError
from asrlab.evaluation.alternatives import Alternatives, parse_alternatives
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.paths import AudioRoot, audio_beside, audio_slice
from asrlab.evaluation.datasets.record_reader import RecordReader
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds, first_line
from asrlab.transcript.scoring_formats import unescape_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asrlab.evaluation.datasets.format import ReadOptions


_SUFFIX = ".stm"
_FIRST_CHANNEL = "1"
_COMMENT = ";;"
_IGNORED = "ignore_time_segment_in_scoring"
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_LINE = re.compile(rf"\S+\s+(?:[A-Za-z]|\d)\s+\S+\s+({_NUMBER})\s+({_NUMBER})(?:\s.*)?")
_FIELDS = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+(<[^>\s]*>))?(?:\s+(.*))?")
_MAX_SHOWN = 80


def sniff_stm(path: Path) -> bool:
    """Whether *path* is called ``.stm`` or its first line has a file, channel, speaker, start and end; or a folder."""
    if path.is_dir():
        return bool(stm_files(path))
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
        DatasetError: There is no STM; while iterating: a line cannot be read, with its number, or is of a second
            channel; or its audio is not there; or, where a reference is required, it leaves open which of several words
            were said (``{ a / b }``).

    Source: NIST SCTK, ``doc/infmts.htm``.
    """
    files = stm_files(path)
    if not files:
        raise DatasetError(f"folder {path} has no {_SUFFIX} file, and no folder stm with one", path=path)
    top = path.absolute() if path.is_dir() else path.absolute().parent
    absolute = [file.absolute() for file in files]
    if path.is_dir():
        AudioRoot.of(top, allow_external_audio=options.allow_external_audio).check_all(absolute)
    if not TextFile(path=files[0]).head():
        raise DatasetError(f"{files[0]} is empty; a line is: file, channel, speaker, start, end, text", path=files[0])
    return Dataset(
        name=path.resolve().name,
        source=f"STM {path}",
        read=partial(_utterances, absolute, top, options),
        unscored=partial(_unscored, absolute),
    )


def stm_files(path: Path) -> list[Path]:
    """The file itself; of a folder the STM files in it or in its folder ``stm``, in the order of the names."""
    if not path.is_dir():
        return [path]
    return sorted(path.glob(f"*{_SUFFIX}")) or sorted(path.glob(f"stm/*{_SUFFIX}"))


def track_of(file: str, channel: str) -> str:
    """The name of one channel of a recording: that of the recording for the first (``1`` or ``A``), else ``FILE#2``."""
    lower = channel.lower()
    number = str(ord(lower) - ord("a") + 1) if len(lower) == 1 and "a" <= lower <= "z" else lower
    return file if number == _FIRST_CHANNEL else f"{file}#{number}"


def _utterances(files: list[Path], top: Path, options: ReadOptions) -> Iterator[Utterance]:
    for place in files:
        lines = TextFile(path=place)
        reader = _Reader(
            audio=_audio_for(place.parent, top, options),
            root=AudioRoot.of(place.parent, allow_external_audio=options.allow_external_audio, top=top),
            require_text=options.require_text,
        )
        for segment, error in _segments(lines):
            if not segment.is_ignored:
                yield reader.utterance(segment, error)


def _unscored(files: list[Path]) -> Iterator[Utterance]:
    for segment in (segment for file in files for segment in stm_segments(file)):
        if segment.is_ignored and segment.track == segment.file and segment.end > segment.start:
            audio = AudioFile(path=Path(segment.file), offset=segment.start, duration=segment.end - segment.start)
            yield Utterance(id=segment.id, audio=audio, recording=segment.file)


def _audio_for(folder: Path, top: Path, options: ReadOptions) -> dict[str, Path]:
    """The audio that may be meant, by its name without the ending; what lies nearer goes first."""
    above = [folder.parent] if options.allow_external_audio or folder != top else []
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
        id: ``FILE@START-END``; ``FILE#2@START-END`` in the second channel; with ``/SPEAKER`` behind it where another
            speaker has the same times.
        file: The recording's name.
        channel: As it is written.
        track: The recording's name, and the channel if that is not the first, see `track_of`.
        speaker: Who speaks.
        start: Seconds into the recording.
        end: Seconds into the recording.
        text: As it stands there.
        is_ignored: The line says that nothing in it is to be scored.
        alternatives: The readings of the text, where there are several; else None.
    """

    id: str
    file: str
    channel: str
    track: str
    speaker: str
    start: float
    end: float
    text: str
    is_ignored: bool = False
    alternatives: Alternatives | None = attrs.field(default=None, repr=False)


def stm_segments(path: Path) -> Iterator[StmSegment]:
    """The segments of a file, whether or not their audio is there, those that are not to be scored among them.

    Raises:
        DatasetError: A line cannot be read, or is there twice.
    """
    for segment, _ in _segments(TextFile(path=path)):
        yield segment


def _segments(lines: TextFile) -> Iterator[tuple[StmSegment, Callable[[str], DatasetError]]]:
    """The segments of a file, each with what makes an error for its line."""
    seen = UniqueIds(lines=lines, hint="remove one of the two")
    speakers: dict[str, str] = {}
    for number, line in lines.text():
        error = partial(lines.error, number)
        segment = _segment(line, error)
        if segment is None:
            continue
        if not segment.is_ignored:
            if speakers.setdefault(segment.id, segment.speaker) != segment.speaker:
                segment = attrs.evolve(segment, id=f"{segment.id}/{segment.speaker}")
            seen.check(segment.id, number)
        yield segment, error


def _segment(line: str, error: Callable[[str], DatasetError]) -> StmSegment | None:
    """The segment of a line; None for a comment."""
    if line.startswith(_COMMENT):
        return None
    found = _FIELDS.fullmatch(line)
    if found is None:
        raise error("has fewer than 5 fields; it needs: file, channel, speaker, start, end, text")
    name, channel, speaker, start, end, _label, text = found.groups()
    times = RecordReader(values={"start": start, "end": end}, error=error, written=True)
    file = unescape_id(name)
    track = track_of(file, channel)
    is_ignored = _IGNORED in (text or "").lower()
    return StmSegment(
        id=f"{track}@{start}-{end}",
        file=file,
        channel=channel,
        track=track,
        speaker=unescape_id(speaker),
        start=times.seconds("start") or 0.0,
        end=times.seconds("end") or 0.0,
        text=unescape_controls(text or ""),
        is_ignored=is_ignored,
        alternatives=None if is_ignored else _alternatives(unescape_controls(text or ""), error),
    )


def _alternatives(text: str, error: Callable[[str], DatasetError]) -> Alternatives | None:
    try:
        return parse_alternatives(text)
    except ValueError as problem:
        raise error(f"{problem}; close it with '}}', or remove it") from problem


@attrs.frozen(kw_only=True)
class _Reader:
    """How to read a line.

    Attributes:
        audio: See `_audio_for`.
        root: What the audio must not lead out of.
        require_text: See `ReadOptions`.
    """

    audio: dict[str, Path]
    root: AudioRoot
    require_text: bool

    def utterance(self, segment: StmSegment, error: Callable[[str], DatasetError]) -> Utterance:
        """The utterance of a segment.

        Raises:
            DatasetError: It has several readings where a reference is required, is of a second channel, or its audio is
                not there.
        """
        if segment.track != segment.file:
            raise error(
                f"is of channel {segment.channel!r}, and asrlab mixes the channels of a file; write "
                "each channel to a file of its own, and call it channel 1"
            )
        text = segment.text if segment.alternatives is None else None
        if text is None and self.require_text:
            raise error(
                f"{_shown(segment.text)!r} leaves open what was said; write what was, or do without references "
                "(require_text=False) and score the texts with: asrlab score TEXTS --references THIS.stm"
            )
        return Utterance(
            id=segment.id,
            audio=self._audio(segment, error),
            text=text,
            speaker=segment.speaker,
            recording=segment.file,
        )

    def _audio(self, segment: StmSegment, error: Callable[[str], DatasetError]) -> Path | AudioFile:
        if segment.file not in self.audio:
            raise error(
                f"there is no audio {segment.file!r} beside it, in sph, wav or audio (with an ending such as .wav, "
                ".flac or .sph); put it there, or give the folder above, or allow it with allow_external_audio=True "
                "(--allow-external-audio)"
            )
        path = self.root.audio(str(self.audio[segment.file]), field="file", error=error)
        return audio_slice(path, offset=segment.start, duration=segment.end - segment.start, error=error)


def _shown(text: str) -> str:
    """The first alternatives in *text*."""
    start = max(text.find("{"), 0)
    return text[start : text.find("}", start) + 1 or None][:_MAX_SHOWN]
