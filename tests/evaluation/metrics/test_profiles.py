"""Scoring profiles and the leaderboard's rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from asrlab.errors import OptionError
from asrlab.evaluation.metrics import (
    ErrorCounts,
    TextPair,
    describe_normalizers,
    get_normalizer,
    get_profile,
    profile_for,
    score,
    score_normalizers,
)
from asrlab.evaluation.metrics.alignment import align_words
from asrlab.evaluation.metrics.profiles import PROFILES, normalize_compounds

# a busy machine may take its time, the first example all the more, since it imports
UNTIMED = settings(deadline=None, max_examples=40)

WORDS = st.lists(st.sampled_from(["a", "b", "c", "ab", "bc", "abc"]), max_size=7)


def pair(reference: str, hypothesis: str, id: str = "x") -> TextPair:  # noqa: A002 - the field's name
    """A pair to score."""
    return TextPair(id=id, reference=reference, hypothesis=hypothesis)


def fewest_errors(said: list[str], written: list[str]) -> int:
    """Return the fewest errors with compounds joined, by exhaustive search."""
    if not said or not written:
        return len(said) + len(written)
    ways = [
        fewest_errors(said[1:], written[1:]) + (said[0] != written[0]),
        fewest_errors(said[1:], written) + 1,
        fewest_errors(said, written[1:]) + 1,
    ]
    for size in range(2, 4):
        if "".join(written[:size]) == said[0]:
            ways.append(fewest_errors(said[1:], written[size:]))
        if "".join(said[:size]) == written[0]:
            ways.append(fewest_errors(said[size:], written[1:]))
    return min(ways)


@pytest.fixture(scope="module")
def leaderboard():
    """The leaderboard's profile."""
    return get_profile("leaderboard")


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("the white paper", "the whitepaper"),
        ("a notebook", "a note book"),
        ("the B B C", "the BBC"),
        ("the B.B.C. news", "the BBC news"),
        ("5 G", "5G"),
        ("use wi-fi", "use wifi"),
        ("all right then", "alright then"),
        ("ok then", "okay then"),
        ("at ten p.m.", "at 10 pm"),
        ("ahm well", "well"),
        ("colour", "color"),
        ("he's here", "he is here"),
    ],
)
def test_leaderboard_unifies_spellings(leaderboard, reference: str, hypothesis: str):  # noqa: ANN001
    """Spellings that the leaderboard unifies are not errors, in either direction."""
    assert leaderboard.score([pair(reference, hypothesis)]).wer == 0
    assert leaderboard.score([pair(hypothesis, reference)]).wer == 0


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("John's dog, it's here", "john s dog it is here"),
        ("the cause, I dunno", "the cause i dunno"),
        ("a i b", "aib"),
        ("i a", "i a"),
        ("b a", "b a"),
        ("e mail and x  ray", "email and xray"),
        ("Sara met Geoffrey", "sara met geoffrey"),
    ],
)
def test_leaderboard_text(leaderboard, text: str, normalized: str):  # noqa: ANN001
    """The possessive stays, single letters are joined from two or three on, given names stay."""
    assert next(leaderboard.prepare([pair(text, "")])).reference == normalized


def test_english_does_not_join_compounds():
    """Spellings that only the leaderboard unifies are errors under Whisper's normalizer."""
    assert get_profile("english").score([pair("the white paper", "the whitepaper")]).wer == pytest.approx(2 / 3)


def test_compound_counts_the_references_words(leaderboard):  # noqa: ANN001
    """A matched compound does not change the number of reference words, and its words are hits."""
    assert leaderboard.score([pair("white paper here", "whitepaper hear")]).words == ErrorCounts(
        hits=2, substitutions=1
    )


def test_leaderboard_skips_excluded_segments(leaderboard):  # noqa: ANN001
    """The mark for excluded segments is not an utterance; an empty reference is counted separately."""
    result = leaderboard.score(
        [pair("ignore_time_segment_in_scoring", "hello"), pair("um", "uh yes"), pair("yes", "yes")]
    )

    assert result.utterances == 1
    assert result.empty_references == 1
    assert result.wer == 0


def test_leaderboard_names_the_commit_it_follows(leaderboard):  # noqa: ANN001
    """The version has the leaderboard's commit, what differs, and what it runs on; the score carries it."""
    result = leaderboard.score([pair("a", "a")])

    assert result.normalizer == "leaderboard"
    assert result.normalizer_version.startswith("open_asr_leaderboard d1e99b2 without its name spellings, on whisper-")


@UNTIMED
@given(WORDS, WORDS)
def test_compounds_are_joined_with_the_fewest_errors(said: list[str], written: list[str]):
    """Joined and split words leave no more errors than an exhaustive search."""
    rewritten = normalize_compounds(said, written)

    assert align_words(said, rewritten).counts().errors <= fewest_errors(said, written)
    assert "".join(rewritten) == "".join(written)


def test_compounds_are_found_in_a_long_text():
    """A text of an hour is searched in parts, and its compounds are found on both sides of every cut."""
    said = [word for n in range(500) for word in ("white", "paper", *(f"w{n}x{k}" for k in range(10)), "notebook")]
    written = [word for n in range(500) for word in ("whitepaper", *(f"w{n}x{k}" for k in range(10)), "note", "book")]

    assert normalize_compounds(said, written) == tuple(said)


@pytest.mark.parametrize("name", ["english", "basic", "none"])
def test_profile_of_a_normalizer_scores_as_the_normalizer(name: str):
    """A profile of a normalizer gives the same score as that normalizer."""
    pairs = [pair("Mr. Grey's 5 dogs", "mister gray is five dogs"), pair("", "ah"), pair("Yes!", "yes")]

    assert get_profile(name).score(pairs) == score(pairs, normalizer=get_normalizer(name))


def test_prepared_pairs_score_as_the_profile(leaderboard):  # noqa: ANN001
    """Prepared pairs with the profile's normalizer score as the profile does."""
    pairs = [pair("the white paper", "the whitepaper"), pair("a b", "a c", "y")]

    assert score(leaderboard.prepare(pairs), normalizer=leaderboard.normalizer) == leaderboard.score(pairs)


def test_scores_have_the_order_of_the_names():
    """The same hypotheses are scored under each normalizer, in the given order; pairs are read once."""
    pairs = iter([pair("Mr. Grey has a white paper.", "mister gray has a whitepaper")])

    scores = score_normalizers(pairs, ["none", "basic", "english", "leaderboard"])

    assert [one.normalizer for one in scores] == ["none", "basic", "english", "leaderboard"]
    assert [one.words.errors for one in scores] == [4, 4, 2, 0]


def test_unknown_profile_is_refused_with_the_choices():
    """A mistyped profile is refused before anything is scored."""
    with pytest.raises(
        OptionError, match=r"no scoring profile 'leader'; did you mean 'leaderboard'\? choose one of english"
    ) as caught:
        score_normalizers([], ["english", "leader"])

    assert caught.value.supported == PROFILES


MIXED = [
    TextPair(id="a", reference="Mister Colour", hypothesis="mr. color", language="en-GB"),
    TextPair(id="b", reference="I\u015eIK zwei", hypothesis="\u0131\u015f\u0131k zwei", language="tr"),
    TextPair(id="c", reference="colour", hypothesis="color"),
]


def test_each_utterance_has_the_normalizer_of_its_language():
    """English gets English spelling, Turkish its dotless i, and an unknown language no rules of English."""
    result = get_profile("by-language").score(MIXED)

    assert (result.words.hits, result.words.errors) == (4, 1)
    assert result.normalizers == (("basic", 2), ("english", 1))
    assert all(get_normalizer(name).version in result.normalizer_version for name in ("english", "basic"))
    assert describe_normalizers(result.normalizer, result.normalizers) == "basic (2), english (1)"


def test_one_normalizer_is_named_without_a_count():
    """If all utterances have the profile's normalizer, only its name is returned."""
    result = get_profile("basic").score(MIXED)

    assert result.normalizers == (("basic", 3),)
    assert describe_normalizers(result.normalizer, result.normalizers) == "basic"


@pytest.mark.parametrize(
    ("languages", "profile"),
    [
        (["en", "en_US", "eng"], "english"),
        (["de", None], "basic"),
        ([None], "basic"),
        ([], "basic"),
        (["en", "de"], "by-language"),
        (["English", None], "by-language"),
    ],
)
def test_languages_choose_the_profile(languages: list[str | None], profile: str):
    """English needs an English tag on every utterance."""
    assert profile_for(languages) == profile


@UNTIMED
@given(st.lists(st.sampled_from(["en", "de", "tr", None]), max_size=6))
def test_by_language_is_the_sum_of_its_parts(languages: list[str | None]):
    """The errors of a mixed corpus are those of its English and its other utterances together."""
    texts = ("Mister Colour's İI", "mr. color is ii")
    pairs = [
        TextPair(id=str(n), reference=texts[0], hypothesis=texts[1], language=language)
        for n, language in enumerate(languages)
    ]
    parts = (
        get_profile("english").score(given for given in pairs if given.language == "en"),
        get_profile("basic").score(given for given in pairs if given.language != "en"),
    )

    assert get_profile("by-language").score(pairs).words == parts[0].words + parts[1].words
