"""Suspect references."""

from __future__ import annotations

import pytest

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.metrics import (
    ErrorCounts,
    SuspectReference,
    SuspectReport,
    TextPair,
    get_normalizer,
    score,
    suspect_references,
)

NONE = get_normalizer("none")
SMOKE = "a more a amiable woman"


def report(
    reference: str, min_agreement: int = 2, shared: dict[str, str] | None = None, **systems: str
) -> SuspectReport:
    """Return the report on one utterance."""
    pairs = {name: [TextPair(id="u", reference=reference, hypothesis=text)] for name, text in systems.items()}
    return suspect_references(pairs, normalizer=NONE, min_agreement=min_agreement, shared=shared)


def test_word_at_which_engines_agree_is_listed():
    """A word that several engines leave out is listed, with every engine's words."""
    found = report(SMOKE, a="a more amiable woman", b="a more amiable woman", c="a more a amiable woman")

    assert found.suspects == (
        SuspectReference(id="u", word=2, reference="a", instead="", agreeing=("a", "b"), others=(("c", "a"),)),
    )


def test_error_rate_with_and_without():
    """Without the suspect word, the agreeing engines lose an error and the other engine loses a hit."""
    found = report(SMOKE, a="a more amiable man", b="a more amiable woman", c=SMOKE)
    a, b, c = found.systems

    assert (a.words, a.without) == (
        ErrorCounts(hits=3, substitutions=1, deletions=1),
        ErrorCounts(hits=3, substitutions=1),
    )
    assert (b.words.rate, b.without.rate) == (0.2, 0)
    assert (c.words, c.without) == (ErrorCounts(hits=5), ErrorCounts(hits=4))


@pytest.mark.parametrize(
    ("reference", "texts", "place"),
    [
        ("one two four", ("one two three four", "one two three four"), (2, "", "three")),
        ("one two four", ("one three four", "one three for"), (1, "two", "three")),
        ("one two four", ("one 2 3 four", "one 2 3 four"), (1, "two", "2 3")),
        ("one two", ("one two three", "one two three"), (2, "", "three")),
        ("one two three four", ("one x y four", "one x y four"), (1, "two three", "x y")),
    ],
)
def test_each_kind_of_change_is_listed(reference: str, texts: tuple[str, str], place: tuple[int, str, str]):
    """Insertions, substitutions and runs of them are one entry each, with both sides' words."""
    [suspect] = report(reference, a=texts[0], b=texts[1]).suspects

    assert (suspect.word, suspect.reference, suspect.instead) == place


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (("one x four", "one y four"), "they disagree with each other"),
        (("one x four", "one two four"), "only one disagrees with the reference"),
        (("", ""), "engines that wrote nothing are no witnesses"),
        (("one two four", "one two four"), "nothing is wrong"),
    ],
)
def test_no_agreement_lists_nothing(texts: tuple[str, str], why: str):
    """One engine alone, two that differ, and empty outputs make nothing suspect."""
    found = report("one two four", a=texts[0], b=texts[1])

    assert found.suspects == (), why
    assert all(system.words == system.without for system in found.systems)


def test_systems_that_share_weights_count_once():
    """Two packages with the same weights count once; a third with other weights counts separately."""
    texts = {"a": "one x four", "b": "one x four", "c": "one two four"}

    assert report("one two four", shared={"a": "base", "b": "base"}, **texts).suspects == ()
    texts["c"] = "one x four"
    assert report("one two four", shared={"a": "base", "b": "base"}, **texts).suspects != ()


def test_min_agreement_can_be_raised():
    """Two systems are not enough for a minimum of three."""
    texts = {"a": "one x four", "b": "one x four", "c": "one two four"}

    assert len(report("one two four", **texts).suspects) == 1
    assert report("one two four", min_agreement=3, **texts).suspects == ()


def test_counts_are_those_of_the_score():
    """The counts over all words are those of the score."""
    pairs = [TextPair(id="1", reference="a b c", hypothesis="a x c d"), TextPair(id="2", reference="", hypothesis="y")]
    found = suspect_references({"one": pairs, "two": pairs[::-1]}, normalizer=NONE)

    assert found.systems[0].words == score(pairs, normalizer=NONE).words


def test_texts_are_compared_normalized():
    """Engines that differ only in spelling agree."""
    pairs = {
        name: [TextPair(id="u", reference="he saw mister brown", hypothesis=text)]
        for name, text in (("a", "He saw Mr. Grey."), ("b", "he saw mister gray"))
    }
    [suspect] = suspect_references(pairs, normalizer=get_normalizer("english")).suspects

    assert (suspect.reference, suspect.instead) == ("brown", "gray")


def test_min_agreement_of_one_is_refused():
    """A single engine against the reference proves nothing."""
    with pytest.raises(OptionError, match="min_agreement is 1"):
        report("a", min_agreement=1, a="b", b="b")


def test_other_references_are_refused():
    """Systems over different references are refused."""
    with pytest.raises(DatasetError, match="utterance 'u' is 'a' in 'x' and 'b' in 'y'"):
        suspect_references(
            {
                "x": [TextPair(id="u", reference="a", hypothesis="")],
                "y": [TextPair(id="u", reference="b", hypothesis="")],
            },
            normalizer=NONE,
        )
