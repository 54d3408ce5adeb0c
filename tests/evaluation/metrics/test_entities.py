"""Entity errors, on pairs checked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from asrlab.errors import OptionError
from asrlab.evaluation.metrics import EntityCounts, EntityMiss, EntityScore, TextPair, entity_errors

# a busy machine may take its time, the first example all the more, since it imports
UNTIMED = settings(deadline=None, max_examples=40)

# what happened to the entities of the reference, in order: h hit, m missed, w wrong
NUMBERS = [
    ("lines two thousand three thousand", "lines 2000 3000", "number:h"),
    ("call 526 now", "call 5 2 6 now", "number:h"),
    ("call 5 2 6 now", "call 526 now", "number:h"),
    ("call 526 now", "call five twenty six now", "number:h"),
    ("call 526 now", "call five two six now", "number:h"),
    ("call 526 now", "call five hundred and twenty-six now", "number:h"),
    ("call five twenty six now", "call 526 now", "number:h"),
    ("call 526 now", "call 5 27 now", "number:w"),
    ("call 526 now", "call 5 2 6 7 now", "number:w"),
    ("call 526 now", "call 52 6 now", "number:h"),
    ("call 52 now", "call 526 now", "number:w"),
    ("call 526 now", "call 26 now", "number:w"),
    ("call 526 now", "call now", "number:m"),
    ("call 5 and 26 now", "call 526 now", "number:ww"),
    ("call 5, 26 now", "call 526 now", "number:hh"),
    ("room one oh one", "room 101", "number:h"),
    ("agent double oh seven", "agent 007", "number:h"),
    ("dial 555-1234", "dial five five five one two three four", "number:hh"),
    ("dial 555 1234", "dial 5551235", "number:hw"),
    ("there were 1,000 sheep", "there were a thousand sheep", "number:h"),
    ("there were 1,000 sheep", "there were 1000 sheep", "number:h"),
    ("there were 1,250,000 sheep", "there were one million two hundred and fifty thousand sheep", "number:h"),
    ("about 2.5 million people", "about two and a half million people", "number:h"),
    ("about 2.5 million people", "about 2500000 people", "number:h"),
    ("about 5 million people", "about 5 people", "number:w"),
    ("pi is 3.14", "pi is three point one four", "number:h"),
    ("pi is 3.14", "pi is three point one five", "number:w"),
    ("it rose 10%", "it rose ten percent", "number:h"),
    ("it rose 10%", "it rose 10 per cent", "number:h"),
    ("it rose 10%", "it rose ten", "number:w"),
    ("the 21st century", "the twenty-first century", "number:h"),
    ("the 21st century", "the 21 century", "number:w"),
    ("minus 5 degrees", "-5 degrees", "number:h"),
    ("minus 5 degrees", "5 degrees", "number:w"),
    ("at 5:30 sharp", "at five thirty sharp", "number:h"),
    ("at 5:00 sharp", "at five sharp", "number:h"),
    ("three quarters of it", "3/4 of it", "number:h"),
    ("3 1/2 inches", "three and a half inches", "number:h"),
    ("no one was first for a second", "none was there for a bit", ""),
    ("we have 1 car", "we have one car", "number:h"),
    ("a 10k run", "a ten thousand run", "number:h"),
    ("20 people and 30 dogs", "30 dogs", "number:mh"),
    ("two tests", "to tests", "number:w"),
]
MONEY = [
    ("he paid $5", "he paid five dollars", "money:h"),
    ("he paid $5", "he paid 5 bucks", "money:h"),
    ("he paid $5", "he paid 5", "money:w"),
    ("he paid $5.50", "he paid five dollars and fifty cents", "money:h"),
    ("he paid $5.50", "he paid 5 dollars 50 cents", "money:h"),
    ("he paid $0.50", "he paid fifty cents", "money:h"),
    ("he paid $5 million", "he paid five million dollars", "money:h"),
    ("he paid $5bn", "he paid 5 billion dollars", "money:h"),
    ("it costs £20", "it costs twenty pounds", "money:h"),
    ("it costs £20", "it costs $20", "money:w"),
    ("it costs €1,000", "it costs a thousand euros", "money:h"),
    ("he paid 20 dollars", "he paid", "money:m"),
    ("he paid $5 for 3 apples", "he paid $5 for 4 apples", "money:h number:w"),
]
DATES = [
    ("born on May 5, 1984", "born on the fifth of May nineteen eighty four", "date:h"),
    ("born on May 5, 1984", "born on 5 May 1984", "date:h"),
    ("born on May 5, 1984", "born on May 5th, 1984", "date:h"),
    ("born on May 5, 1984", "born on May 6, 1984", "date:w"),
    ("born on 1984-05-03", "born on May the third 1984", "date:h"),
    ("born in May 1984", "born in may nineteen eighty four", "date:h"),
    ("born in 1984", "born in nineteen eighty four", "date:h"),
    ("born in 1984", "born in 1985", "date:w"),
    ("in the 1960s", "in the nineteen sixties", "date:h"),
    ("in the 1960s", "in the sixties", "date:w"),
    ("on Monday morning", "on monday morning", "date:h"),
    ("on Monday morning", "on Sunday morning", "date:w"),
    ("it was January", "it was", "date:m"),
    ("due Sept. 3", "due September 3rd", "date:h"),
    ("you may go", "you might go", ""),
    ("we march on", "we mark on", ""),
]
NAMES = [
    ("he met Anna Dashwood there", "he met anna dashwood there", "name:h"),
    ("he met Anna Dashwood there", "he met Anna Ashwood there", "name:w"),
    ("he met Anna Dashwood there", "he met there", "name:m"),
    ("he met Mr. Dashwood", "he met mister Dashwood", "name:h"),
    ("he met J. R. Smith", "he met J R Smith", "name:h"),
    ("the dog met John's cat", "the dog met Johns cat", "name:w"),
    ("the dog met John's cat", "the dog met John's hat", "name:h"),
    ("Anna left. Then she met Bob", "Anna left then she met rob", "name:w"),
    ("The man saw Paris, London and Rome", "the man saw paris london and roam", "name:hhw"),
    ('he said, "Come here, Anna"', "he said come here Anna", "name:h"),
    ("we flew to Zürich", "we flew to zurich", "name:h"),
    ("In 2019, 20 people met Anna", "in 2019 30 people met Anna", "date:h number:w name:h"),
]

PIECES = [
    "oh", "one", "two", "five", "twenty", "hundred", "thousand", "million", "point", "and", "a", "half", "dollars",
    "cents", "minus", "double", "third", "quarters", "percent", "may", "march", "the", "of", "May", "5th", "1984", "5",
    "26", "3.14", "$", "10%", "1/2", "½", "5:30", "-5", ",", ".", ";", "Mr.", "Smith", "U.S.", "1960s", "10k", "$5bn",
    "2024-05-03", "5/3/84", "Monday", "second", "\n", "\"", "'60s", "1,000", "²", "٣",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join)


def entity_score(*texts: tuple[str, str]) -> EntityScore:
    """Return the entity score of pairs of reference and hypothesis."""
    return entity_errors(
        TextPair(id=str(n), reference=said, hypothesis=written) for n, (said, written) in enumerate(texts)
    )


def outcomes(score: EntityScore) -> dict[str, tuple[int, int, int]]:
    """Return hits, missed and wrong entities by kind."""
    kinds = {"number": score.numbers, "date": score.dates, "money": score.money, "name": score.names or EntityCounts()}
    return {kind: (one.hits, one.missed, one.wrong) for kind, one in kinds.items() if one.references}


def expected(marks: str) -> dict[str, tuple[int, int, int]]:
    """Return the outcomes of marks such as ``number:hw date:m``."""
    kinds = dict(mark.split(":") for mark in marks.split())
    return {kind: (marks.count("h"), marks.count("m"), marks.count("w")) for kind, marks in kinds.items()}


@pytest.mark.parametrize(("reference", "hypothesis", "marks"), [*NUMBERS, *MONEY, *DATES, *NAMES])
def test_hand_checked_pair(reference: str, hypothesis: str, marks: str):
    """Each entity is found, has its kind, and is hit, missed or wrong as annotated by hand."""
    assert outcomes(entity_score((reference, hypothesis))) == expected(marks)


@pytest.mark.parametrize("written", ["5 2 6", "526", "five twenty six", "five two six", "five hundred twenty-six"])
@pytest.mark.parametrize("said", ["5 2 6", "526", "five twenty six", "five two six", "five hundred twenty-six"])
def test_digit_string_is_the_same_however_it_is_written(said: str, written: str):
    """Each spelling of 526 is a hit for every other spelling, as one entity."""
    assert entity_score((f"dial {said} please", f"dial {written} please")).numbers == EntityCounts(hits=1)


@pytest.mark.parametrize("written", ["52", "5 2 7", "5 2", "5026", "five hundred", "5260", "2 6", "1526"])
def test_another_digit_string_is_wrong(written: str):
    """An additional, missing or different digit is not a hit."""
    assert entity_score(("dial 5 2 6 please", f"dial {written} please")).numbers == EntityCounts(wrong=1)


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("two thousand and nineteen", "2019"),
        ("twenty nineteen", "2019"),
        ("nineteen hundred", "1900"),
        ("nineteen oh five", "1905"),
        ("oh seven five", "075"),
        ("twelve thousand three hundred forty five", "12,345"),
        ("three million two hundred thousand and five", "3,200,005"),
        ("one point five billion", "1,500,000,000"),
        ("two hundred fifth", "205th"),
        ("triple seven", "777"),
        ("zero point oh five", "0.05"),
        ("minus forty", "-40"),
        ("ninety nine point nine percent", "99.9%"),
    ],
)
def test_number_in_words_is_its_digits(words: str, digits: str):
    """A number in words is a hit for its digits, and the reverse."""
    assert entity_score((f"it was {words} then", f"it was {digits} then")).numbers == EntityCounts(hits=1)
    assert entity_score((f"it was {digits} then", f"it was {words} then")).numbers == EntityCounts(hits=1)


@UNTIMED
@given(TEXTS)
def test_text_has_no_errors_against_itself(text: str):
    """Any text is a hit for all of its own entities."""
    total = entity_score((text, text)).total

    assert (total.missed, total.wrong) == (0, 0)


@UNTIMED
@given(TEXTS, TEXTS)
def test_entities_are_those_of_the_reference(reference: str, hypothesis: str):
    """The number of entities does not depend on the hypothesis."""
    assert (
        entity_score((reference, hypothesis)).total.references == entity_score((reference, reference)).total.references
    )


def test_counts_add_up_over_a_corpus():
    """The rate is over all entities of all utterances, and each kind has its own."""
    score = entity_score(
        ("call 526 now", "call 527 now"), ("on Monday he met Anna", "on he met Anna"), ("paid $5", "paid $5")
    )

    assert score.numbers.rate == 1
    assert score.dates.rate == 1
    assert score.money.rate == 0
    assert score.names == EntityCounts(hits=1)
    assert score.total == EntityCounts(hits=2, missed=1, wrong=1)
    assert score.rate == 0.5
    assert score.utterances == 3


def test_corpus_without_entities_has_no_rate():
    """A corpus without entities has no rate, rather than a perfect one."""
    score = entity_score(("nothing to see here", "nothing to see"))

    assert score.rate is None
    assert score.numbers.rate is None


@pytest.mark.parametrize("text", ["the man saw paris", "THE MAN SAW PARIS", "I think I'm in nasa", "i'm at NASA", ""])
def test_references_without_casing_give_no_names(text: str):
    """If no reference has capitals, names are unknown rather than none."""
    assert entity_score((text, text)).names is None


def test_one_cased_reference_makes_names_count():
    """In a corpus with casing an utterance without names has none."""
    assert entity_score(("The end", "the end"), ("no names here", "no names here")).names == EntityCounts()


@pytest.mark.parametrize("text", ["THE MAN SAW PARIS", "The Man Who Saw Paris And Rome In Spring"])
def test_capitals_of_a_heading_are_not_names(text: str):
    """An utterance in capitals, or with most words capitalized, has no names, in a corpus where others do."""
    assert entity_score((text, text), ("He met Anna there", "he met Anna there")).names == EntityCounts(hits=1)


def test_misses_have_both_texts():
    """Each miss has its utterance, kind, and both texts as they were written."""
    score = entity_score(
        ("He paid $5.50 to Anna Dashwood", "he paid five dollars fifty three to Anna"), ("he left", "he left")
    )

    assert score.misses == (
        EntityMiss(id="0", kind="money", outcome="wrong", reference="$5.50", hypothesis="five dollars fifty three"),
        EntityMiss(id="0", kind="name", outcome="wrong", reference="Anna Dashwood", hypothesis="Anna"),
    )


def test_misses_are_limited():
    """At most the requested number of misses is returned; all are counted."""
    pairs = [TextPair(id=str(n), reference="call 526", hypothesis="call") for n in range(5)]
    score = entity_errors(pairs, misses=2)

    assert [miss.id for miss in score.misses] == ["0", "1"]
    assert score.numbers.missed == 5


def test_empty_hypothesis_misses_everything():
    """A failed utterance has every entity missed."""
    assert entity_score(("On Monday he paid Anna $5 for 3", "")).total == EntityCounts(missed=4)


@pytest.mark.parametrize("repeated", ["oh ", "minus ", "five ", "and ", "a hundred ", "one point "])
def test_repetition_loop_is_read(repeated: str):
    """A word repeated without end, as engines do, is read without exhausting the stack."""
    assert entity_score((repeated * 1500, repeated * 1500)).total.wrong == 0


@pytest.mark.parametrize("language", ["en", "en-US", "en_GB", "EN"])
def test_english_is_known_by_its_tag(language: str):
    """Any English tag takes the English rules."""
    assert entity_errors([], language=language).language == "en"


def test_language_without_rules_is_refused():
    """Another language is refused, rather than scored by English rules."""
    with pytest.raises(OptionError, match="no entity rules for language 'de'; they are written for English") as caught:
        entity_errors([], language="de")

    assert caught.value.supported == ("en",)
