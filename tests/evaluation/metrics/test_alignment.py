"""Alignments."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

from asrlab.evaluation.metrics import AlignedWord, TextPair, align, get_normalizer, score

# a busy machine may take its time, the first example all the more, since it imports
UNTIMED = settings(deadline=None)

NONE = get_normalizer("none")
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(" ".join)


def test_each_kind_of_error_is_marked():
    """Equal, substituted, deleted and inserted words are returned in order with their aligned words."""
    aligned = align("the cat sat on the mat today", "the big cat sad on mat today", normalizer=NONE)

    assert aligned == (
        AlignedWord(kind="equal", reference="the", hypothesis="the"),
        AlignedWord(kind="insert", reference=None, hypothesis="big"),
        AlignedWord(kind="equal", reference="cat", hypothesis="cat"),
        AlignedWord(kind="substitute", reference="sat", hypothesis="sad"),
        AlignedWord(kind="equal", reference="on", hypothesis="on"),
        AlignedWord(kind="delete", reference="the", hypothesis=None),
        AlignedWord(kind="equal", reference="mat", hypothesis="mat"),
        AlignedWord(kind="equal", reference="today", hypothesis="today"),
    )


def test_words_are_compared_normalized():
    """Case, punctuation and spelling are equal if the normalizer unifies them."""
    aligned = align("Mr. Grey's", "mister gray is", normalizer=get_normalizer("english"))

    assert [(word.kind, word.reference) for word in aligned] == [
        ("equal", "mister"),
        ("equal", "gray"),
        ("equal", "is"),
    ]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "kinds"),
    [("", "", []), ("", "a b", ["insert", "insert"]), ("a b", "  ", ["delete", "delete"])],
)
def test_empty_side_is_all_of_one_kind(reference: str, hypothesis: str, kinds: list[str]):
    """With an empty reference all words are insertions; with an empty hypothesis all are deletions."""
    assert [word.kind for word in align(reference, hypothesis, normalizer=NONE)] == kinds


@UNTIMED
@given(TEXTS, TEXTS)
def test_both_texts_are_complete(reference: str, hypothesis: str):
    """Each side of the alignment is its text, word for word."""
    aligned = align(reference, hypothesis, normalizer=NONE)

    assert " ".join(word.reference for word in aligned if word.reference) == reference
    assert " ".join(word.hypothesis for word in aligned if word.hypothesis) == hypothesis


@UNTIMED
@given(TEXTS.filter(bool), TEXTS)
def test_alignment_shows_the_errors_that_are_counted(reference: str, hypothesis: str):
    """The numbers of kinds in an alignment are the score's counts, and each kind fits its words."""
    aligned = align(reference, hypothesis, normalizer=NONE)
    counts = score([TextPair(id="x", reference=reference, hypothesis=hypothesis)], normalizer=NONE).words
    kinds = Counter(word.kind for word in aligned)

    assert (kinds["equal"], kinds["substitute"]) == (counts.hits, counts.substitutions)
    assert (kinds["delete"], kinds["insert"]) == (counts.deletions, counts.insertions)
    assert all((word.kind == "equal") == (word.reference == word.hypothesis) for word in aligned)
    assert all((word.kind == "insert") == (word.reference is None) for word in aligned)
    assert all((word.kind == "delete") == (word.hypothesis is None) for word in aligned)
