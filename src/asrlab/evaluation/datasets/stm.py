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
from asrlab.evaluation.datasets.dataset import Dataset, ReadOptions, Reference, Utterance
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

    A line is ``<file> <channel> <speaker> <start> <end> [<label>] text``. Comments (``;;``), labels and segments with
    IGNORE_TIME_SEGMENT_IN_SCORING are skipped. Channel 1, or A, is the whole audio: asrlab mixes channels.

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
        for part in (reference for file in absolute for reference in read_stm_references(file)):
            start, end = _times(part)
            if part.is_ignored and part.track == part.recording and end > start:
                audio = AudioFile(path=Path(part.recording or ""), offset=start, duration=end - start)
                yield Utterance(id=part.id, audio=audio, recording=part.recording)

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


def read_stm_references(path: Path) -> Iterator[Reference]:
    """Yield the references of a file, including those excluded from scoring, whether or not their audio exists.

    The id is ``FILE@START-END``, or ``FILE#2@START-END`` in the second channel. If another speaker has the same times,
    ``/SPEAKER`` follows.
    """
    for reference, _, _ in _read_lines(TextFile(path=path)):
        yield reference


def _read_lines(file: TextFile) -> Iterator[tuple[Reference, str, Callable[[str], DatasetError]]]:
    """Yield the reference of each line, with the channel as written and a function that makes an error for the line."""
    ids = UniqueIds(file=file)
    speakers: dict[str, str] = {}
    for number, line in file.lines():
        if line.startswith(COMMENT):
            continue
        error = partial(file.error, number)
        reference, channel = _parse_line(line, error)
        if not reference.is_ignored:
            speaker = reference.speaker or ""
            if speakers.setdefault(reference.id, speaker) != speaker:
                reference = attrs.evolve(reference, id=f"{reference.id}/{speaker}")
            ids.add(reference.id, number)
        yield reference, channel, error


def _parse_line(line: str, error: Callable[[str], DatasetError]) -> tuple[Reference, str]:
    match = _FIELDS.fullmatch(line)
    if match is None:
        raise error("has fewer than 5 fields; it needs: file, channel, speaker, start, end, text")
    name, channel, speaker, start, end, _label, written = match.groups()
    times = RecordReader(values={"start": start, "end": end}, error=error, is_row=True)
    file = unescape_id(name)
    track = track_name(file, channel)
    text = unescape_controls(written or "")
    is_ignored = _IGNORED in (written or "").lower()
    reference = Reference(
        id=f"{track}@{start}-{end}",
        text=text,
        speaker=unescape_id(speaker),
        recording=file,
        start=times.seconds("start") or 0.0,
        end=times.seconds("end") or 0.0,
        track=track,
        alternatives=None if is_ignored else find_alternatives(text, error),
        is_ignored=is_ignored,
    )
    return reference, channel


def find_alternatives(text: str, error: Callable[[str], DatasetError]) -> Alternatives | None:
    """Return the readings of a reference; None if there is only one."""
    try:
        return parse_alternatives(text)
    except ValueError as problem:
        raise error(f"{problem}; close it with '}}', or remove it") from problem


def _read_utterances(files: list[Path], top: Path, options: ReadOptions) -> Iterator[Utterance]:
    for path in files:
        audio = _find_audio(path.parent, top, options)
        root = AudioRoot.at(path.parent, options, top=top)
        for reference, channel, error in _read_lines(TextFile(path=path)):
            if reference.is_ignored:
                continue
            _check(reference, channel, error, require_text=options.require_text)
            name = reference.recording or ""
            if name not in audio:
                raise error(
                    f"there is no audio {name!r} beside it, in sph, wav or audio (with a suffix such as .wav, .flac or "
                    ".sph); put it there, or give the folder above, or allow it with allow_external_audio=True "
                    "(--allow-external-audio)"
                )
            found, (start, end) = root.audio(str(audio[name]), field="file", error=error), _times(reference)
            yield Utterance(
                id=reference.id,
                audio=audio_slice(found, offset=start, duration=end - start, error=error),
                text=reference.text if reference.alternatives is None else None,
                speaker=reference.speaker,
                recording=name,
            )


def _times(reference: Reference) -> tuple[float, float]:
    return reference.start or 0.0, reference.end or 0.0


def _find_audio(folder: Path, top: Path, options: ReadOptions) -> dict[str, Path]:
    """Return the audio in the folders that STM uses, by name without suffix; nearer folders take precedence."""
    above = [folder.parent] if options.allow_external_audio or folder != top else []
    folders = [folder, *(base / name for base in [folder, *above] for name in _AUDIO_FOLDERS)]
    files: dict[str, Path] = {}
    for candidate in folders:
        if candidate.is_dir():
            files = {**audio_by_stem(candidate), **files}
    return files


def _check(reference: Reference, channel: str, error: Callable[[str], DatasetError], *, require_text: bool) -> None:
    if reference.track != reference.recording:
        raise error(
            f"names channel {channel!r}, and asrlab mixes the channels of a file; write each channel to a file "
            "of its own, and call it channel 1"
        )
    if reference.alternatives is not None and require_text:
        start = max(reference.text.find("{"), 0)
        shown = reference.text[start : reference.text.find("}", start) + 1 or None][:_MAX_SHOWN_CHARS]
        raise error(
            f"{shown!r} leaves open what was said; write the words that were said, or do without references "
            "(require_text=False) and score the texts with: asrlab score TEXTS --references THIS.stm"
        )
