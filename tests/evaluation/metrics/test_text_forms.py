"""Unicode forms of the same text are equal, and every other letter or mark is an error."""

# ruff: noqa: RUF001 - letters of many scripts are what is tested

from __future__ import annotations

import time
import unicodedata
from functools import cache

import pytest
from hypothesis import assume, given, settings, strategies as st

from asrlab.evaluation.metrics import TextPair, get_normalizer, get_profile, score
from asrlab.evaluation.metrics.normalizers import unify_forms, visible_text

# a busy machine may take its time, the first example all the more, since it imports
UNTIMED = settings(deadline=None, max_examples=150)

INVISIBLE = {
    "soft hyphen": "\u00ad",
    "zero-width space": "\u200b",
    "zero-width non-joiner": "\u200c",
    "zero-width joiner": "\u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "left-to-right mark": "\u200e",
    "right-to-left override": "\u202e",
    "isolate": "\u2067",
    "Arabic letter mark": "\u061c",
    "grapheme joiner": "\u034f",
    "variation selector": "\ufe0f",
    "Mongolian variation selector": "\u180b",
    "Khmer inherent vowel": "\u17b4",
    "Hangul filler": "\u3164",
    "tag": "\U000e0041",
    "null": "\x00",
    "escape": "\x1b",
}
APOSTROPHES = "'\u2018\u2019\u201b\u02bb\u02bc\u2032`\u00b4\uff07\ua78c"
SCRIPTS = (
    "ARABIC", "ARMENIAN", "BENGALI", "CYRILLIC", "DEVANAGARI", "ETHIOPIC", "GEORGIAN", "GREEK", "GUJARATI", "GURMUKHI",
    "HEBREW", "KANNADA", "KHMER", "LAO", "MALAYALAM", "MYANMAR", "ORIYA", "SINHALA", "TAMIL", "TELUGU", "THAI",
    "TIBETAN",
)  # fmt: skip


def wer(name: str, reference: str, hypothesis: str, language: str | None = None) -> float | None:
    """Return the word error rate of one text under a profile."""
    pair = TextPair(id="x", reference=reference, hypothesis=hypothesis, language=language)
    return get_profile(name).score([pair]).wer


@cache
def signs(script: str, categories: tuple[str, ...]) -> list[str]:
    """Return a script's signs of some categories, without those that no reader sees and strokes that lengthen."""
    names = ((chr(code), unicodedata.name(chr(code), "")) for code in range(0x370, 0x1900))
    own = [sign for sign, name in names if name.startswith(f"{script} ") and unicodedata.category(sign) in categories]
    return [sign for sign in own if unify_forms(f"a{sign}") != "a"]


def key(text: str) -> str:
    """Return *text* by Unicode's own rules for compatibility and case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("की मिल दिन", "कि मेल दीन", 1.0),  # Hindi vowel signs
        ("কি দিন", "কী দান", 1.0),  # Bengali
        ("கிளி", "கீளி", 1.0),  # Tamil
        ("น้ำ ไม่", "นำ ไม้", 1.0),  # Thai tones
        ("ភាសា", "ភាសី", 1.0),  # Khmer
        ("မြန်မာ", "မြန်မို", 1.0),  # Burmese
        ("كَتَبَ", "كُتِبَ", 1.0),  # Arabic vowels
        ("שָׁלוֹם", "שִׁלוֹם", 1.0),  # Hebrew points
        ("ẹ́", "ẹ̀", 1.0),  # Yoruba tones, which have no composed form
        ("ma", "má", 1.0),  # Vietnamese tones
        ("क\u093c", "\u0958", 0.0),  # Devanagari qa in two forms
        ("Tiếng Việt", unicodedata.normalize("NFD", "Tiếng Việt"), 0.0),
        ("한국어", unicodedata.normalize("NFD", "한국어"), 0.0),
        ("\uff76\uff9e\uff72\uff84\uff9e", "ガイド", 0.0),  # half-width kana
        ("ＡＢＣ１２３", "abc123", 0.0),
        ("\ufee3\ufeae\ufea3\ufe92\ufe8e", "مرحبا", 0.0),  # Arabic presentation forms
        ("سلام", "سـلام", 0.0),  # lengthened
        ("می\u200cخواهم", "میخواهم", 0.0),  # Persian, with a non-joiner and without
        ("ന്\u200d", "ൻ", 0.0),  # Malayalam chillu, as encoded before 2008
        ("ন\u09a4\u09cd\u200d", "নৎ", 0.0),  # Bengali khanda ta, as encoded before 2005
        ("Ինչո՞ւ", "ինչու", 0.0),  # Armenian question mark within a word
        ("п\u2019ять", "п\u02bcять", 0.0),
        ("п'ять", "п\u02bcять", 0.0),
        ("n\u2019ígbà", "n\u02bcígbà", 0.0),
        ("col·lecció", "coŀlecció", 0.0),
        ("İstanbul", "istanbul", 0.0),
        ("i\u0307stanbul", "istanbul", 0.0),  # as str.lower leaves it
        ("ΑΓΙΟΣ", "αγιος", 0.0),
        ("❤\ufe0f yes 1\ufe0f", "yes 1", 0.0),
        ("a¨ b", "a b", 0.0),  # a mark on a space is no word
    ],
)
def test_basic_counts_letters_and_marks_and_no_forms(reference: str, hypothesis: str, expected: float):
    """Other vowel signs and tones are errors; other code points for the same text are not, in either direction."""
    assert wer("basic", reference, hypothesis) == expected
    assert wer("basic", hypothesis, reference) == expected


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("it\u2019s", "it's"),
        ("1\uff0c000 cars", "1,000 cars"),  # a full-width comma between digits
        ("wait\u2026 here", "wait... here"),
        ("\u2116 5", "No 5"),  # the sign for "number"
        ("\uff08laughs\uff09 yes", "(laughs) yes"),
        ("co\u00adoperate", "cooperate"),
        ("nai\u0308ve", "naïve"),
        ("\ufeffHello\u00a0you", "hello you"),
    ],
)
def test_english_unifies_forms(reference: str, hypothesis: str):
    """Texts that differ only in code points are equal in `english`, in either direction."""
    assert wer("english", reference, hypothesis) == 0
    assert wer("english", hypothesis, reference) == 0


@pytest.mark.parametrize("name", ["english", "basic"])
@pytest.mark.parametrize("apostrophe", APOSTROPHES)
def test_every_apostrophe_is_the_same(name: str, apostrophe: str):
    """A contraction is the same word with any apostrophe, in `english` as in `basic`."""
    said = "It's Ann's, they won't; rock 'n' roll"

    assert wer(name, said, said.replace("'", apostrophe)) == 0


@pytest.mark.parametrize("name", ["english", "basic", "none"])
@pytest.mark.parametrize("sign", INVISIBLE.values(), ids=INVISIBLE)
def test_invisible_characters_are_not_errors(name: str, sign: str):
    """An invisible character changes nothing at any position."""
    said = "naïve 1,000 words' end"

    assert wer(name, said, sign + sign.join(said) + sign) == 0


@pytest.mark.parametrize(
    ("language", "reference", "hypothesis", "expected"),
    [
        ("tr", "IŞIK İYİ", "ışık iyi", 0.0),
        ("tr-TR", "ISI", "ısı", 0.0),
        ("az", "İLK I", "ilk ı", 0.0),
        ("tr", "I", "i", 1.0),
        (None, "ISI", "ısı", 1.0),
        ("en", "I", "i", 0.0),
        ("fa", "كي", "کی", 0.0),
        ("ar", "كي", "کی", 1.0),
        ("ro", "ştiinţă", "știință", 0.0),
        ("yo", "e\u0329\u0301", "ẹ́", 0.0),
    ],
)
def test_letters_that_depend_on_the_language(language: str | None, reference: str, hypothesis: str, expected: float):
    """Turkish and Azerbaijani have other pairs of i, and some languages have two codes for a letter."""
    assert wer("basic", reference, hypothesis, language) == expected


def test_none_counts_visible_differences():
    """`none` composes and leaves out what is invisible; a curly apostrophe or a full-width letter is another one."""
    assert get_normalizer("none")("e\u0301\u200b a\u00ad b") == "é a b"
    assert wer("none", "it\u2019s", "it's") == 1
    assert wer("none", "Ａ", "A") == 1


def test_leaderboard_unifies_no_forms():
    """The leaderboard unifies no forms, so neither does its profile."""
    assert wer("leaderboard", "it\u2019s", "it's") == 0.5


@UNTIMED
@given(st.text(max_size=30), st.sampled_from([None, "tr", "fa", "yo"]))
def test_unifying_twice_changes_nothing_more(text: str, language: str | None):
    """Unified text, visible text and the output of `basic` do not change when unified again."""
    assert unify_forms(unified := unify_forms(text, language=language), language=language) == unified
    assert visible_text(seen := visible_text(text)) == seen
    normalize = get_normalizer("basic", language=language)
    assert normalize(once := normalize(text)) == once


def test_no_character_depends_on_its_form():
    """Every character that has forms is the same in all of them, at the start of a text and within a word."""
    with_forms = (
        chr(code)
        for code in range(0x30000)
        if not 0xD800 <= code < 0xE000
        and (unicodedata.decomposition(chr(code)) or unicodedata.category(chr(code)) in {"Cf", "Lm", "Sk"})
    )
    for sign in with_forms:
        for text in (sign, f"a{sign}b"):
            unified = unify_forms(text)
            forms = [unify_forms(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")]
            assert {*forms, unify_forms(unified)} == {unified}, hex(ord(sign))


@UNTIMED
@given(st.text(alphabet=st.characters(categories=["L", "M", "N", "Zs"]), max_size=20), st.data())
def test_forms_change_no_normalized_text(text: str, data: st.DataObject):
    """All rules but the leaderboard's ignore composition and invisible characters."""
    assume(not {"\u09cd", "\u0d4d"} & set(text))  # behind which a joiner makes another letter
    at = data.draw(st.integers(0, len(text)))
    other = f"{text[:at]}{data.draw(st.sampled_from(sorted(INVISIBLE.values())))}{text[at:]}"
    for name in ("english", "basic", "none"):
        normalize = get_normalizer(name)
        forms = {
            normalize(unicodedata.normalize(form, written)) for form in ("NFC", "NFD") for written in (text, other)
        }
        assert forms == {normalize(text)}


@UNTIMED
@given(st.sampled_from(SCRIPTS), st.data())
def test_no_changed_letter_or_mark_is_lost(script: str, data: st.DataObject):
    """A word with one letter or mark changed, added or left out is a wrong word, in every script."""
    letters, marks = signs(script, ("Lo", "Ll")), signs(script, ("Mn", "Mc"))
    syllable = st.builds(
        "".join, st.tuples(st.sampled_from(letters), *([st.sampled_from(["", *marks])] if marks else []))
    )
    said = data.draw(st.lists(syllable, min_size=1, max_size=5))
    at = data.draw(st.integers(0, len(said) - 1))
    reference, hypothesis = "".join(said), "".join([*said[:at], data.draw(syllable), *said[at + 1 :]])
    assume(key(reference) != key(hypothesis))

    assert wer("basic", reference, hypothesis) == 1


@UNTIMED
@given(st.text(alphabet=st.characters(codec="ascii"), max_size=40))
def test_english_and_basic_are_whispers_on_plain_text(text: str):
    """In ASCII there are no forms to unify but white space, and Whisper's rules run on it as they are."""
    from whisper_normalizer.basic import BasicTextNormalizer  # type: ignore[import-untyped]

    from asrlab.evaluation.metrics.normalizers import english_rules

    plain = " ".join("".join(sign for sign in text if sign.isprintable() or sign.isspace()).split()).replace("`", "'")
    english, _ = english_rules()

    assert get_normalizer("basic")(text) == " ".join(BasicTextNormalizer()(plain).split())
    assert get_normalizer("english")(text) == " ".join(english(plain).split())


@pytest.mark.parametrize("name", ["english", "basic"])
@pytest.mark.parametrize("text", ["[", "(", "<", "(a", "[a]", " ", " '", "a \n", "1", "1,", "one ", "\u093e"])
def test_time_grows_with_the_text_and_not_with_its_square(name: str, text: str):
    """Eight times the brackets or spaces take about eight times as long, not sixty-four times."""
    normalize = get_normalizer(name)

    def seconds(count: int) -> float:
        start = time.process_time()
        normalize(text * count)
        return time.process_time() - start

    few = min(seconds(4_000) for _ in range(2))
    assert seconds(32_000) < 25 * few + 0.5


@pytest.mark.parametrize("name", ["english", "leaderboard"])
def test_a_number_of_any_length_is_scored(name: str):
    """Whisper's rules fail on numbers that Python does not convert; such a text has errors like any other."""
    assert wer(name, "1" * 5000, "1" * 5000) == 0
    assert wer(name, "1" * 5000, "2" * 5000) == 1


def test_a_text_is_scored_in_one_form_by_every_caller():
    """`score` with a normalizer and a profile of it agree on the errors."""
    pair = TextPair(id="x", reference="it\u2019s क\u093cी", hypothesis="it's \u0958ि")

    assert score([pair], normalizer=get_normalizer("basic")) == get_profile("basic").score([pair])
