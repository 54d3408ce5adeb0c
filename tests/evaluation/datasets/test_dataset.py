"""Records of data sets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Dataset, Utterance

if TYPE_CHECKING:
    from collections.abc import Iterator


def utterance(name: str) -> Utterance:
    """Return an utterance of which only the id matters."""
    return Utterance(id=name, audio=Path(f"{name}.wav"))


def test_dataset_is_read_while_it_is_iterated_and_again_each_time():
    """Nothing is read before iteration, and a second iteration starts from the first utterance."""
    read: list[str] = []

    def utterances() -> Iterator[Utterance]:
        for name in "abc":
            read.append(name)
            yield utterance(name)

    dataset = Dataset(name="letters", source="the alphabet", read=utterances)

    assert next(iter(dataset)).id == "a"
    assert read == ["a"]
    assert [item.id for item in dataset] == ["a", "b", "c"]
    assert [item.id for item in dataset] == ["a", "b", "c"]


def test_equal_ids_are_refused_with_both_positions():
    """Two utterances of the same id would share their results, so the second is an error naming both."""
    dataset = Dataset(name="twins", source="here", read=lambda: map(utterance, "abcb"))

    with pytest.raises(DatasetError, match="'twins' has two utterances with the id 'b', number 2 and number 4"):
        list(dataset)


def test_count_reads_only_where_the_length_is_unknown():
    """A known length is returned without reading; an unknown length is counted."""
    unknown = Dataset(name="x", source="here", read=lambda: map(utterance, "abc"))
    known = Dataset(name="x", source="here", read=lambda: pytest.fail("it was read"), length=7)

    assert (unknown.count(), known.count()) == (3, 7)


@pytest.mark.parametrize("name", ["", None, 3])
def test_utterance_needs_an_id(name: object):
    """An id is text and not empty."""
    with pytest.raises(DatasetError, match="id must be text"):
        Utterance(id=name, audio=Path("a.wav"))  # type: ignore[arg-type]


def test_importing_datasets_loads_nothing_heavy():
    """Importing the package and listing the smoke set loads no audio library."""
    program = (
        "import sys, asrlab.evaluation.datasets;"
        "list(asrlab.evaluation.datasets.load_dataset('smoke'));"
        "heavy = ('numpy', 'soundfile', 'av', 'soxr', 'torch');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"
