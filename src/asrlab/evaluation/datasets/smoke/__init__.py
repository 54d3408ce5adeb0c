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
    """Five clips, 24.7 seconds and 70 words, of one reader.

    They show that an engine works at all. Five clips of one clear voice rank no model.
    """
    return Dataset(
        name="smoke",
        source="LibriVox, Jane Austen: Sense and Sensibility, chapter 1; clips from the tests of pocketsphinx 5.1.1",
        licence="public domain",
        read=_utterances,
        length=5,
    )


def _utterances() -> Iterator[Utterance]:
    for line in (_FOLDER / "utterances.jsonl").read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        yield Utterance(
            id=fields["id"],
            audio=_FOLDER / fields["audio_filepath"],
            text=fields["text"],
            language=fields["language"],
            speaker=fields["speaker"],
            recording=fields["recording"],
        )
