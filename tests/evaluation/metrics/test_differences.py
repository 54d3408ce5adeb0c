"""Word-level differences between two systems."""

from __future__ import annotations

import pytest

from asrlab.errors import OptionError
from asrlab.evaluation.metrics import Confusion, TextPair, get_normalizer, score, word_differences

NONE = get_normalizer("none")
REFERENCES = ["the cat sat on the mat", "the cat ran", ""]
A = ["the cat sat on the mat", "the hat ran off", "x"]
B = ["the bat sat on mat", "the bat run", ""]


def pairs(hypotheses: list[str]) -> list[TextPair]:
    """The pairs of a system."""
    texts = enumerate(zip(REFERENCES, hypotheses, strict=True))
    return [TextPair(id=str(n), reference=said, hypothesis=written) for n, (said, written) in texts]


def test_words_are_counted_by_the_systems_that_recognized_them():
    """Every word of the references is counted once: correct in both systems, in one, or in neither."""
    found = word_differences({"a": pairs(A), "b": pairs(B)}, normalizer=NONE)

    assert (found.both_right, found.baseline_only, found.candidate_only, found.neither) == (5, 3, 0, 1)
    assert found.baseline_mistakes == (Confusion(reference=None, hypothesis="off", count=1, ids=("1",)),)
    assert found.candidate_mistakes == (
        Confusion(reference="cat", hypothesis="bat", count=1, ids=("0",)),
        Confusion(reference="ran", hypothesis="run", count=1, ids=("1",)),
        Confusion(reference="the", hypothesis=None, count=1, ids=("0",)),
    )


def test_words_right_are_the_hits_of_the_score():
    """The words that the baseline has right, alone or with the other, are its hits."""
    found = word_differences({"a": pairs(A), "b": pairs(B)}, normalizer=NONE)

    assert found.both_right + found.baseline_only == score(pairs(A), normalizer=NONE).words.hits


def test_most_frequent_mistakes_come_first():
    """A repeated mistake is one entry with its count and the first five utterances, and the list is cut."""
    said = [TextPair(id=str(n), reference="a cat", hypothesis="a cat") for n in range(7)]
    written = [TextPair(id=str(n), reference="a cat", hypothesis="a hat" if n else "the cat") for n in range(7)]
    found = word_differences({"a": said, "b": written}, normalizer=NONE, top=1)

    assert found.candidate_mistakes == (
        Confusion(reference="cat", hypothesis="hat", count=6, ids=("1", "2", "3", "4", "5")),
    )


def test_insertion_of_both_is_no_difference():
    """A word that both insert at the same place is no difference; one that only one inserts is."""
    one = [TextPair(id="x", reference="a b", hypothesis="a x b")]
    two = [TextPair(id="x", reference="a b", hypothesis="a x y b")]
    found = word_differences({"a": one, "b": two}, normalizer=NONE)

    assert found.baseline_mistakes == ()
    assert found.candidate_mistakes == (Confusion(reference=None, hypothesis="y", count=1, ids=("x",)),)


def test_two_systems_are_needed():
    """Word differences of three systems are refused."""
    with pytest.raises(OptionError, match="3 systems given"):
        word_differences({"a": [], "b": [], "c": []}, normalizer=NONE)
