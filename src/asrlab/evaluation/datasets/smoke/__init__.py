"""The embedded smoke set: five clips of read English. `SOURCE.md` beside this file has its source and checksums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from asrlab.evaluation.datasets.dataset import Dataset, Utterance

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["smoke"]

_FOLDER = Path(__file__).parent


def smoke() -> Dataset:
    """Return the smoke set: five clips, 24.7 seconds and 70 words of one reader.

    The clips show that an engine works. Five clips of one clear voice cannot rank models.
    """
    return Dataset(
        name="smoke",
        source="LibriVox, Jane Austen: Sense and Sensibility, chapter 1; clips from the tests of pocketsphinx 5.1.1",
        licence="public domain",
        read=_read_utterances,
        length=5,
    )


def _read_utterances() -> Iterator[Utterance]:
    for line in (_FOLDER / "utterances.jsonl").read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        audio = _FOLDER / values["audio_filepath"]
        yield Utterance(audio=audio, **{key: values[key] for key in ("id", "text", "language", "speaker", "recording")})
