"""Segment time marks (STM), the reference format of sclite and TED-LIUM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attrs

from asrlab.audio import AudioFile
from asrlab.control_characters import unescape_controls
from asrlab.errors import DatasetError
from asrlab.evaluation.alternatives import Alternatives, parse_alternatives
from asrlab.evaluation.datasets.dataset import Dataset, ReadOptions, Utterance
from asrlab.evaluation.datasets.paths import AudioRoot, audio_by_stem, audio_slice
from asrlab.evaluation.datasets.text_file import RecordReader, TextFile, UniqueIds, first_line
from asrlab.transcript.scoring_formats import unescape_id

_SUFFIX = ".stm"
_AUDIO_FOLDERS = ("sph", "wav", "audio")
_FIRST_CHANNEL = "1"
COMMENT = ";;"
_IGNORED = "ignore_time_segment_in_scoring"
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_LINE = re.compile(rf"\S+\s+(?:[A-Za-z]|\d)\s+\S+\s+({_NUMBER})\s+({_NUMBER})(?:\s.*)?")
_FIELDS = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+(<[^>\s]*>))?(?:\s+(.*))?")
_MAX_SHOWN_CHARS = 80


def sniff_stm(path: Path) -> bool:
    """Return True for the suffix ``.stm``, a first line with STM's five fields, or a folder with ``.stm`` files."""
    if path.is_dir():
        return bool(list_stm_files(path))
    line = first_line(path)
    if path.suffix.lower() == _SUFFIX:
        return True
    match = _LINE.fullmatch(line)
    return match is not None and float(match[1]) <= float(match[2])


def read_stm(path: Path, options: ReadOptions) -> Dataset:
    """Return the segments of an STM file, or of the ``.stm`` files in a folder or its folder ``stm``, ordered by name.

    A line is ``<file> <channel> <speaker> <start> <end> [<label>] text``. The audio is the file of that name, with any
    suffix of audio, beside the STM file or in a folder ``sph``, ``wav`` or ``audio`` beside the file or its folder.
    Comments (``;;``), labels and segments with IGNORE_TIME_SEGMENT_IN_SCORING are skipped; the text is not changed.
    Channel 1, or A, is the whole audio: asrlab mixes the channels of a file, so a second channel is refused.

    Source: NIST SCTK, ``doc/infmts.htm``.
    """
    files = list_stm_files(path)
    if not files:
        raise DatasetError(f"folder {path} has no {_SUFFIX} file, and no folder stm with one", path=path)
    top = path.absolute() if path.is_dir() else path.absolute().parent
    absolute = [file.absolute() for file in files]
    if path.is_dir():
        AudioRoot.at(top, options).check_all(absolute)
    if not TextFile(path=files[0]).head():
        raise DatasetError(f"{files[0]} is empty; a line is: file, channel, speaker, start, end, text", path=files[0])

    def unscored() -> Iterator[Utterance]:
        for segment in (segment for file in absolute for segment in read_stm_segments(file)):
            if segment.is_ignored and segment.track == segment.file and segment.end > segment.start:
                audio = AudioFile(path=Path(segment.file), offset=segment.start, duration=segment.end - segment.start)
                yield Utterance(id=segment.id, audio=audio, recording=segment.file)

    return Dataset(
        name=path.resolve().name,
        source=f"STM {path}",
        read=partial(_read_utterances, absolute, top, options),
        unscored=unscored,
    )


def list_stm_files(path: Path) -> list[Path]:
    """Return the STM files of a folder or of its folder ``stm``, ordered by name; *path* itself if it is a file."""
    if not path.is_dir():
        return [path]
    return sorted(path.glob(f"*{_SUFFIX}")) or sorted(path.glob(f"stm/*{_SUFFIX}"))


def track_name(file: str, channel: str) -> str:
    """Return the name of a recording's channel: *file* for the first (``1`` or ``A``), else for example ``FILE#2``."""
    lower = channel.lower()
    number = str(ord(lower) - ord("a") + 1) if len(lower) == 1 and "a" <= lower <= "z" else lower
    return file if number == _FIRST_CHANNEL else f"{file}#{number}"


@attrs.frozen(kw_only=True)
class StmSegment:
    """A line of an STM file, with times in seconds from the start of the recording.

    The id is ``FILE@START-END``, or ``FILE#2@START-END`` in the second channel. If another speaker has the same times,
    ``/SPEAKER`` follows.
    """

    id: str
    file: str  # name of the recording
    channel: str  # as written
    track: str  # name of the recording and channel, see `track_name`
    speaker: str
    start: float
    end: float
    text: str  # as written
    is_ignored: bool = False  # excluded from scoring
    alternatives: Alternatives | None = attrs.field(default=None, repr=False)  # if the text has several readings


def read_stm_segments(path: Path) -> Iterator[StmSegment]:
    """Yield the segments of a file, including those excluded from scoring, whether or not their audio exists."""
    for segment, _ in _read_segments(TextFile(path=path)):
        yield segment


def _read_segments(file: TextFile) -> Iterator[tuple[StmSegment, Callable[[str], DatasetError]]]:
    """Yield the segments of a file, each with a function that makes an error for its line."""
    ids = UniqueIds(file=file)
    speakers: dict[str, str] = {}
    for number, line in file.lines():
        if line.startswith(COMMENT):
            continue
        error = partial(file.error, number)
        segment = _parse_segment(line, error)
        if not segment.is_ignored:
            if speakers.setdefault(segment.id, segment.speaker) != segment.speaker:
                segment = attrs.evolve(segment, id=f"{segment.id}/{segment.speaker}")
            ids.add(segment.id, number)
        yield segment, error


def _parse_segment(line: str, error: Callable[[str], DatasetError]) -> StmSegment:
    match = _FIELDS.fullmatch(line)
    if match is None:
        raise error("has fewer than 5 fields; it needs: file, channel, speaker, start, end, text")
    name, channel, speaker, start, end, _label, written = match.groups()
    times = RecordReader(values={"start": start, "end": end}, error=error, is_row=True)
    file = unescape_id(name)
    track = track_name(file, channel)
    text = unescape_controls(written or "")
    is_ignored = _IGNORED in (written or "").lower()
    try:
        alternatives = None if is_ignored else parse_alternatives(text)
    except ValueError as problem:
        raise error(f"{problem}; close it with '}}', or remove it") from problem
    return StmSegment(
        id=f"{track}@{start}-{end}",
        file=file,
        channel=channel,
        track=track,
        speaker=unescape_id(speaker),
        start=times.seconds("start") or 0.0,
        end=times.seconds("end") or 0.0,
        text=text,
        is_ignored=is_ignored,
        alternatives=alternatives,
    )


def _read_utterances(files: list[Path], top: Path, options: ReadOptions) -> Iterator[Utterance]:
    for path in files:
        audio = _find_audio(path.parent, top, options)
        root = AudioRoot.at(path.parent, options, top=top)
        for segment, error in _read_segments(TextFile(path=path)):
            if segment.is_ignored:
                continue
            _check_segment(segment, error, require_text=options.require_text)
            if segment.file not in audio:
                raise error(
                    f"there is no audio {segment.file!r} beside it, in sph, wav or audio (with a suffix such as .wav, "
                    ".flac or .sph); put it there, or give the folder above, or allow it with "
                    "allow_external_audio=True (--allow-external-audio)"
                )
            found = root.audio(str(audio[segment.file]), field="file", error=error)
            duration = segment.end - segment.start
            yield Utterance(
                id=segment.id,
                audio=audio_slice(found, offset=segment.start, duration=duration, error=error),
                text=segment.text if segment.alternatives is None else None,
                speaker=segment.speaker,
                recording=segment.file,
            )


def _find_audio(folder: Path, top: Path, options: ReadOptions) -> dict[str, Path]:
    """Return the audio in the folders that STM uses, by name without suffix; nearer folders take precedence."""
    above = [folder.parent] if options.allow_external_audio or folder != top else []
    folders = [folder, *(base / name for base in [folder, *above] for name in _AUDIO_FOLDERS)]
    files: dict[str, Path] = {}
    for candidate in folders:
        if candidate.is_dir():
            files = {**audio_by_stem(candidate), **files}
    return files


def _check_segment(segment: StmSegment, error: Callable[[str], DatasetError], *, require_text: bool) -> None:
    if segment.track != segment.file:
        raise error(
            f"names channel {segment.channel!r}, and asrlab mixes the channels of a file; write each channel to a file "
            "of its own, and call it channel 1"
        )
    if segment.alternatives is not None and require_text:
        start = max(segment.text.find("{"), 0)
        shown = segment.text[start : segment.text.find("}", start) + 1 or None][:_MAX_SHOWN_CHARS]
        raise error(
            f"{shown!r} leaves open what was said; write the words that were said, or do without references "
            "(require_text=False) and score the texts with: asrlab score TEXTS --references THIS.stm"
        )
