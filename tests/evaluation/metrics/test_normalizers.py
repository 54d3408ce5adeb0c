"""Normalizers."""

from __future__ import annotations

from importlib import metadata

import pytest

from asrlab.errors import OptionError
from asrlab.evaluation.metrics import Normalizer, get_normalizer
from asrlab.evaluation.metrics.normalizers import TEXT_FORMS, english_rules
from asrlab.languages import language_tag

# openai-whisper leaves the file with its spellings for the garbage collector to close
whispers_leak = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)

TRICKY = [
    "",
    "   ",
    "Hello, world!",
    "Mr. Dashwood's had $20 million, i.e. 1,000,000.50 dollars",
    "the cause of it, 'cause I dunno, kinda, sorta",
    "one oh one, twenty twenty-two, the 1960s, 274th and 32nd",
    "um, uh, hmm... I won't, can't, y'all ain't gonna",
    "colour, grey and realise [laughter] (coughs) <unk>",
    "she 'd been there ; he 's gone",
    "naïve café — œuvre, straße, Łódź, Ærø",
    "50% of €3.20 and £5, ¢99",
    "two and a half, one third, double seven",
    "\tline one\nline two\u00a0three\u3000four",
    "İstanbul ﬁne Ⅷ ½",
    "你好,世界!",
    "हिन्दी में",
    "🙂 ok",
    "e\u0301te\u0301",
    "St. Mary's Dr. Lt. Col. Jr.",
    "minus three point one four",
]

# where Whisper's basic rules leave out marks, and `basic` does not
WITH_MARKS = {"हिन्दी में": "हिन्दी में", "İstanbul ﬁne Ⅷ ½": "istanbul fine viii 1 2"}


@whispers_leak
@pytest.mark.parametrize("text", TRICKY)
@pytest.mark.parametrize("name", ["english", "basic"])
def test_normalizer_is_whispers_own(name: str, text: str):
    """Both of Whisper's normalizers give what openai-whisper's give, but for spaces around it and marks in `basic`."""
    theirs = pytest.importorskip("whisper.normalizers", reason="openai-whisper is not installed")
    reference = {"english": theirs.EnglishTextNormalizer, "basic": theirs.BasicTextNormalizer}[name]()
    kept = WITH_MARKS.get(text) if name == "basic" else None

    assert get_normalizer(name)(text) == (kept or " ".join(reference(text).split()))


@whispers_leak
def test_english_has_exactly_whispers_rules():
    """The rules of `english` are those of openai-whisper, in the same order, whatever its own package adds."""
    theirs = pytest.importorskip("whisper.normalizers", reason="openai-whisper is not installed")

    ours, _ = english_rules()

    assert list(ours.replacers.items()) == list(theirs.EnglishTextNormalizer().replacers.items())


def test_the_cause_is_not_changed():
    """A word that Whisper does not change stays: "the cause" does not become "the because"."""
    assert get_normalizer("english")("The cause.") == "the cause"


def test_smoke_reference_is_already_in_whispers_spelling():
    """The reference's "mister" and an engine's "Mr." are the same word."""
    normalize = get_normalizer("english")

    assert normalize("Mr. John Dashwood") == normalize("mister john dashwood")


def test_basic_keeps_numbers_and_spelling():
    """`basic` removes case and punctuation and applies no rules of English."""
    assert get_normalizer("basic")("Grey, twenty-two (cough).") == "grey twenty two"


def test_none_folds_whitespace_and_nothing_else():
    """`none` keeps case and punctuation, and makes every run of whitespace one space."""
    assert get_normalizer("none")("  Mr.\tDash\nwood \u00a0 É ") == "Mr. Dash wood É"


@pytest.mark.parametrize("name", ["english", "basic"])
def test_version_names_the_package_that_ran(name: str):
    """The version starts with the distribution and the version that is installed."""
    assert get_normalizer(name).version.startswith(f"whisper-normalizer {metadata.version('whisper-normalizer')}")


def test_version_states_removed_rules():
    """The version states that rules of the package were removed."""
    from whisper_normalizer.english import EnglishTextNormalizer  # type: ignore[import-untyped]

    has_additions = r"\bcause\b" in EnglishTextNormalizer().replacers

    assert (", Whisper's rules only, " in get_normalizer("english").version) == has_additions


def test_none_names_its_own_version():
    """`none` names asrlab's rules alone, and the others name them beside the package."""
    assert get_normalizer("none").version.startswith("asrlab ")
    assert all(TEXT_FORMS in get_normalizer(name).version for name in ("english", "basic", "none"))


def test_unknown_normalizer_is_refused_with_the_choices():
    """A mistyped name is an option error that names the near match and all choices."""
    with pytest.raises(OptionError, match=r"no normalizer 'englsh'; did you mean 'english'\? choose one of") as caught:
        get_normalizer("englsh")

    assert caught.value.supported == ("english", "basic", "none")
    assert caught.value.option == "normalizer"


def test_white_space_of_a_custom_rule_is_collapsed():
    """A user's rule makes a normalizer whose white space is collapsed like that of the others."""
    shout = Normalizer(name="shout", version="mine 1", normalize=lambda text: f" {text.upper()}  ! ")

    assert shout("a  b") == "A B !"


@whispers_leak
def test_whispers_languages_are_known_by_name_and_code():
    """Each of Whisper's languages is known by its English name; a code of Whisper's stays the code."""
    tokenizer = pytest.importorskip("whisper.tokenizer", reason="openai-whisper is not installed")
    own = {"jw": "jv", "nn": "nn"}  # Whisper's code for Javanese is not ISO 639's; nynorsk is nn there too

    for code, name in tokenizer.LANGUAGES.items():
        assert language_tag(code) == code
        assert language_tag(name) == own.get(code, code)
