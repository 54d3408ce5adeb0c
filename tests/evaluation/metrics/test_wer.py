"""Word and character errors."""

from __future__ import annotations

from functools import reduce
from operator import add

import pytest
from hypothesis import given, settings, strategies as st

from asrlab.errors import DatasetError
from asrlab.evaluation.metrics import ErrorCounts, Normalizer, Score, TextPair, get_normalizer, score

# a busy machine may take its time, the first example all the more, since it imports
UNTIMED = settings(deadline=None)

NONE = get_normalizer("none")
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "dd", "é"]), max_size=8).map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=6)


def score_texts(*texts: tuple[str, str], normalizer: Normalizer = NONE) -> Score:
    """Return the score of pairs of reference and hypothesis."""
    pairs = (TextPair(id=str(n), reference=said, hypothesis=written) for n, (said, written) in enumerate(texts))
    return score(pairs, normalizer=normalizer)


def levenshtein(said: list[str], written: list[str]) -> int:
    """The textbook distance, row by row."""
    row = list(range(len(written) + 1))
    for i, one in enumerate(said, start=1):
        left, row[0] = row[0], i
        for j, other in enumerate(written, start=1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (one != other))
    return row[-1]


def test_hand_counted_corpus():
    """One of each error in two utterances gives the counts and rates worked out by hand."""
    result = score_texts(("the cat sat on the mat", "the cat sad on mat"), ("good day", "good day sir"))

    assert result.words == ErrorCounts(hits=6, substitutions=1, deletions=1, insertions=1)
    assert result.words.reference_length == 8
    assert result.words.hypothesis_length == 8
    assert result.wer == pytest.approx(3 / 8)
    assert result.mer == pytest.approx(3 / 9)
    assert result.wil == pytest.approx(1 - (6 / 8) * (6 / 8))
    # "t" to "d" is one, "the " four, " sir" four; 22 + 8 characters
    assert result.characters.errors == 9
    assert result.cer == pytest.approx(9 / 30)
    assert result.utterances == 2


def test_corpus_rate_is_not_a_mean_of_rates():
    """A short bad utterance is weighted by its words: 1 error in 10 words, not the mean of 100 % and 0 %."""
    assert score_texts(("x", "y"), ("a b c d e f g h i", "a b c d e f g h i")).wer == pytest.approx(0.1)


def test_insertions_can_exceed_the_reference():
    """WER exceeds 1 after many insertions; MER and WIL stay at most 1."""
    result = score_texts(("a", "b c d"))

    assert (result.wer, result.mer, result.wil) == (3.0, 1.0, 1.0)


def test_empty_hypothesis_is_all_deletions():
    """With an empty hypothesis every word is a deletion and all information is lost."""
    result = score_texts(("a b", ""))

    assert result.words == ErrorCounts(deletions=2)
    assert (result.wer, result.mer, result.wil, result.cer) == (1.0, 1.0, 1.0, 1.0)


def test_empty_reference_is_counted_separately():
    """Words recognized for an empty reference are counted and are not part of the WER."""
    result = score_texts(("a b", "a b"), ("", "thank you"), (" ", ""))

    assert result.wer == 0.0
    assert result.utterances == 1
    assert result.empty_references == 2
    assert result.empty_reference_insertions == 2


def test_reference_of_fillers_only_is_empty_after_normalization():
    """A reference is tested for emptiness after normalization."""
    result = score_texts(("Um, [noise]", "thanks"), normalizer=get_normalizer("english"))

    assert (result.utterances, result.empty_references, result.empty_reference_insertions) == (0, 1, 1)


@pytest.mark.parametrize("texts", [[], [("", "")], [("", "a b")]])
def test_rates_without_a_reference_word_are_none(texts: list[tuple[str, str]]):
    """Without a reference word the rates are None, neither an error nor infinity."""
    result = score_texts(*texts)

    assert (result.wer, result.cer, result.mer, result.wil) == (None, None, None, None)


def test_score_names_its_normalizer():
    """A score names the normalizer and its version."""
    english = get_normalizer("english")
    result = score_texts(("Mr. Dashwood's colour", "mister dashwood is color"), normalizer=english)

    assert (result.normalizer, result.normalizer_version) == ("english", english.version)
    assert result.wer == 0.0


def test_missing_reference_is_refused_by_id():
    """An utterance without a reference cannot be scored, and the message names it."""
    with pytest.raises(DatasetError, match="utterance 'clip-7' has no reference"):
        TextPair(id="clip-7", reference=None, hypothesis="a")  # type: ignore[arg-type]


def test_pairs_are_read_once():
    """A generator of pairs is enough."""
    pairs = (TextPair(id=str(n), reference="a b", hypothesis="a") for n in range(3))

    assert score(pairs, normalizer=NONE).words == ErrorCounts(hits=3, deletions=3)


def test_long_texts_are_scored():
    """An hour's worth of words in one utterance is counted right, words and characters."""
    said = ["word", "other", "third"] * 3000

    result = score_texts((" ".join(said), " ".join(said[1:])))

    assert result.words == ErrorCounts(hits=8999, deletions=1)
    assert result.characters.errors == len("word ")


@UNTIMED
@given(PAIRS)
def test_errors_are_the_levenshtein_distance(texts: list[tuple[str, str]]):
    """Word and character errors are the sums of Levenshtein distances."""
    result = score_texts(*texts)
    scored = [(said, written) for said, written in texts if said]

    assert result.words.errors == sum(levenshtein(said.split(), written.split()) for said, written in scored)
    assert result.characters.errors == sum(levenshtein(list(said), list(written)) for said, written in scored)


@UNTIMED
@given(PAIRS)
def test_counts_account_for_every_word(texts: list[tuple[str, str]]):
    """Every word and character of both texts is counted exactly once."""
    result = score_texts(*texts)
    scored = [(said, written) for said, written in texts if said]

    assert result.words.reference_length == sum(len(said.split()) for said, _ in scored)
    assert result.words.hypothesis_length == sum(len(written.split()) for _, written in scored)
    assert result.characters.reference_length == sum(len(said) for said, _ in scored)
    assert result.utterances + result.empty_references == len(texts)


@UNTIMED
@given(PAIRS)
def test_corpus_is_the_sum_of_its_utterances(texts: list[tuple[str, str]]):
    """The corpus' counts are those of its utterances added up."""
    result, parts = score_texts(*texts), [score_texts(text) for text in texts]

    assert result.words == reduce(add, [part.words for part in parts], ErrorCounts())
    assert result.characters == reduce(add, [part.characters for part in parts], ErrorCounts())
    assert result.empty_reference_insertions == sum(part.empty_reference_insertions for part in parts)


@UNTIMED
@given(TEXTS.filter(bool), TEXTS.filter(bool))
def test_rates_stay_in_their_bounds(one: str, other: str):
    """The distance is symmetric and bounded; MER and WIL are in [0, 1]; all are 0 exactly where the texts are equal."""
    there, back = score_texts((one, other)), score_texts((other, one))
    lengths = len(one.split()), len(other.split())
    rates = (there.wer, there.mer, there.wil, there.cer)

    assert there.words.errors == back.words.errors
    assert abs(lengths[0] - lengths[1]) <= there.words.errors <= max(lengths)
    assert 0 <= (there.mer or 0) <= 1
    assert 0 <= (there.wil or 0) <= 1
    assert all((rate == pytest.approx(0)) == (one == other) for rate in rates)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXTS.filter(bool), TEXTS), min_size=1, max_size=5))
def test_rates_are_jiwers_own(texts: list[tuple[str, str]]):
    """All four rates are what jiwer computes for the whole corpus."""
    import jiwer

    result = score_texts(*texts)
    words = jiwer.process_words([said for said, _ in texts], [written for _, written in texts])
    characters = jiwer.process_characters([said for said, _ in texts], [written for _, written in texts])

    assert (result.wer, result.mer, result.wil) == pytest.approx((words.wer, words.mer, words.wil))
    assert result.cer == pytest.approx(characters.cer)
