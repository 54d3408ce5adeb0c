"""The speech of the benchmarks: a folder with ``refs.tsv`` (file, language, text), or the embedded clips."""

from __future__ import annotations

import csv
from pathlib import Path

import attrs

__all__ = ["DEVELOPMENT", "Clip", "default_folder", "read_clips"]

DEVELOPMENT = Path(__file__).resolve().parents[2] / "shared" / "speech"
"""The development set, in a folder beside the repository."""

REPEATS = 8


@attrs.frozen(kw_only=True)
class Clip:
    """A recording with its reference.

    Attributes:
        id: Unique id, even if a file is repeated.
        path: Path of the file.
        language: BCP 47 tag.
        text: The reference.
    """

    id: str
    path: Path
    language: str
    text: str


def default_folder() -> Path | None:
    """Return the folder of the development set; None, for the embedded clips, if the folder is missing."""
    return DEVELOPMENT if (DEVELOPMENT / "refs.tsv").is_file() else None


def read_clips(folder: Path | None, *, count: int | None = None) -> list[Clip]:
    """Read the clips of *folder*, or the smoke set eight times, and return *count* of them, evenly distributed."""
    clips = _read_folder(folder) if folder is not None else _repeat_embedded()
    step = 1 if count is None else max(1, len(clips) // count)
    return clips[::step][:count]


def _read_folder(folder: Path) -> list[Clip]:
    with (folder / "refs.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Clip(id=row["file"], path=folder / row["file"], language=row["language"], text=row["text"]) for row in rows]


def _repeat_embedded() -> list[Clip]:
    import asrlab

    return [
        Clip(id=f"{utterance.id}-{repeat}", path=Path(str(utterance.audio)), language="en", text=utterance.text or "")
        for repeat in range(REPEATS)
        for utterance in asrlab.evaluation.load_dataset("smoke")
    ]
