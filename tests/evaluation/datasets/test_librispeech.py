"""LibriSpeech's tree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Utterance, load_dataset

type Write = Callable[[dict[str, str | bytes]], Path]

TREE: dict[str, str | bytes] = {
    "LibriSpeech/README.TXT": "",
    "LibriSpeech/dev-clean/84/121123/84-121123.trans.txt": "84-121123-0000 GO DO YOU HEAR\n84-121123-0001 BUT\n",
    "LibriSpeech/dev-clean/84/121123/84-121123-0000.flac": "",
    "LibriSpeech/dev-clean/84/121123/84-121123-0001.WAV": "",
    "LibriSpeech/dev-clean/174/50561/174-50561.trans.txt": "174-50561-0000 FORGOTTEN\n",
}


@pytest.mark.parametrize("folder", ["", "LibriSpeech", "LibriSpeech/dev-clean", "LibriSpeech/dev-clean/84/121123"])
def test_librispeech_gives_speaker_and_chapter(write: Write, folder: str):
    """Any folder of the tree gives its chapters in order, with speaker and recording; missing audio is flac."""
    root = write(TREE)
    dev = root / "LibriSpeech" / "dev-clean"
    whole = [
        Utterance(
            id="174-50561-0000",
            audio=dev / "174/50561/174-50561-0000.flac",
            text="FORGOTTEN",
            speaker="174",
            recording="174-50561",
        ),
        Utterance(
            id="84-121123-0000",
            audio=dev / "84/121123/84-121123-0000.flac",
            text="GO DO YOU HEAR",
            speaker="84",
            recording="84-121123",
        ),
        Utterance(
            id="84-121123-0001",
            audio=dev / "84/121123/84-121123-0001.WAV",
            text="BUT",
            speaker="84",
            recording="84-121123",
        ),
    ]

    assert list(load_dataset(root / folder)) == (whole[1:] if folder.endswith("121123") else whole)


def test_librispeech_chapter_is_read_while_iterated(write: Write):
    """The first chapter is returned even if the second cannot be read."""
    broken = {"LibriSpeech/dev-clean/84/121123/84-121123.trans.txt": b"84-121123-0000 OK\n\xff\n"}
    utterances = iter(load_dataset(write({**TREE, **broken})))

    assert [next(utterances).id, next(utterances).id] == ["174-50561-0000", "84-121123-0000"]
    with pytest.raises(DatasetError, match=r"84-121123\.trans\.txt, line 2: byte 1 is not UTF-8"):
        next(utterances)


def test_two_audio_files_for_one_utterance_are_refused(write: Write):
    """Two audio files that differ only in their suffixes are refused."""
    root = write({**TREE, "LibriSpeech/dev-clean/84/121123/84-121123-0000.wav": ""})

    with pytest.raises(DatasetError, match="could both be the audio of '84-121123-0000'"):
        list(load_dataset(root))
