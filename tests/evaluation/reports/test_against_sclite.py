"""The error counts of comparisons agree with NIST's sclite."""

from __future__ import annotations

import pytest

from asrlab.evaluation.metrics import ErrorCounts, TextPair, compare_wer, get_normalizer, score

NONE = get_normalizer("none")

# An utterance as two systems might write it, each text with what sclite counts in it: correct words, substitutions,
# deletions, insertions.
# Source: sclite 2.10 of Debian's sctk 2.4.10, run once on these lines in trn format: `sclite -r ref.trn trn -h hyp.trn
# trn -i spu_id -o pralign stdout`.
ROWS = [
    (
        "well i don't wish to see it any more observed phebe",
        ("well i don't wish to see it anymore observed phoebe", (8, 2, 1, 0)),
        ("well i dont wish to see any more observed feeby", (8, 2, 1, 0)),
    ),
    (
        "turning away her eyes it is certainly very like the old portrait",
        ("turning away her eyes it is certainly very like the old portrait", (12, 0, 0, 0)),
        ("turning a way her eyes is certainly very like an old portrait", (9, 2, 1, 1)),
    ),
    (
        "he was in deep converse with the clerk and entered the hall holding him by the arm",
        ("he was in deep conversation with the clerk and entered the hall holding him by the arm", (16, 1, 0, 0)),
        ("he was in deep converse with a clerk and entered hall holding him by by the arm", (15, 1, 1, 1)),
    ),
    (
        (
            "and mister john dashwood had then leisure to consider how much there might prudently be in his power to "
            "do for them"
        ),
        (
            (
                "and mr john dashwood had then leisure to consider how much there might prudently be in his power to "
                "do for them"
            ),
            (21, 1, 0, 0),
        ),
        (
            "mister john dash wood had then the leisure to consider how much might prudently be in his power to do for",
            (18, 1, 3, 2),
        ),
    ),
    ("the quick brown fox", ("the the quick brown fox jumps", (4, 0, 0, 2)), ("quick fox", (2, 0, 2, 0))),
    ("we paid five dollars", ("we paid", (2, 0, 2, 0)), ("", (0, 0, 4, 0))),
    ("no", ("no no no no", (1, 0, 0, 3)), ("know", (0, 1, 0, 0))),
    ("a b c d e f", ("b c d e f g", (5, 0, 1, 1)), ("a c b d f e", (4, 0, 2, 2))),
]
# Four errors either way. sclite, which weighs a substitution as 4 and the others as 3, takes no substitution.
TIED = ("a b c d e f", "a c b d f e")


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts"),
    [(reference, *written) for reference, *both in ROWS for written in both if (reference, written[0]) != TIED],
    ids=lambda value: None if isinstance(value, str) else "-".join(map(str, value)),
)
def test_counts_of_an_utterance_are_sclites(reference: str, hypothesis: str, counts: tuple[int, ...]):
    """Hits, substitutions, deletions and insertions of each utterance agree with sclite."""
    hits, substitutions, deletions, insertions = counts
    found = score([TextPair(id="u", reference=reference, hypothesis=hypothesis)], normalizer=NONE)

    assert found.words == ErrorCounts(
        hits=hits, substitutions=substitutions, deletions=deletions, insertions=insertions
    )


def test_errors_of_a_corpus_are_sclites():
    """The errors of two systems, and the difference of their rates, agree with sclite's sums."""
    systems = {
        name: [TextPair(id=row[0], reference=row[0], hypothesis=row[place][0]) for row in ROWS]
        for place, name in ((1, "one"), (2, "two"))
    }
    theirs = {name: sum(sum(row[place][1][1:]) for row in ROWS) for place, name in ((1, "one"), (2, "two"))}
    found = compare_wer(systems, normalizer=NONE)

    assert {name: counts.errors for name, counts in found.systems} == theirs == {"one": 14, "two": 27}
    assert found.differences[0].difference == pytest.approx((27 - 14) / 77)
