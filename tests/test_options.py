"""Options: what is accepted, and what an engine that cannot honour one says."""

from __future__ import annotations

import json

import attrs
import cattrs
import pytest

from asrlab import Capabilities, OptionError, TranscribeOptions


def test_options_default_to_the_engines_choice():
    """Nothing is asked for unless it is given."""
    options = TranscribeOptions()
    assert (options.language, options.task, options.beam_size, options.temperatures) == (
        None,
        "transcribe",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"language": "english please"}, "language"),
        ({"language": 5}, "language"),
        ({"task": "summarize"}, "task"),
        ({"beam_size": 0}, "beam_size"),
        ({"beam_size": 2.5}, "beam_size"),
        ({"beam_size": True}, "beam_size"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": ()}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"word_timestamps": "yes"}, "word_timestamps"),
        ({"hotwords": 3}, "hotwords"),
    ],
)
def test_a_value_out_of_range_is_refused(given: dict[str, object], option: str):
    """A bad value names its option."""
    with pytest.raises(OptionError) as caught:
        TranscribeOptions.of(None, given)
    assert caught.value.option == option


def test_an_unknown_option_names_the_nearest():
    """A mistyped option is not ignored."""
    with pytest.raises(OptionError, match="did you mean 'beam_size'"):
        TranscribeOptions.of(None, {"beamsize": 5})


def test_given_options_go_on_top():
    """Single options override those of the record they are laid over."""
    base = TranscribeOptions(language="de", beam_size=3)
    assert TranscribeOptions.of(base, {"beam_size": 1}) == TranscribeOptions(language="de", beam_size=1)


def test_a_region_is_not_part_of_the_primary_language():
    """Models know languages, not regions."""
    assert TranscribeOptions(language="pt-BR").primary_language == "pt"
    assert TranscribeOptions(language="EN").primary_language == "en"


def test_what_an_engine_cannot_do_names_what_it_can():
    """Nothing is ignored in silence."""
    able = Capabilities(word_timestamps=True, beam_size=True)
    able.check(TranscribeOptions(word_timestamps=True, beam_size=2), model="e/m")
    with pytest.raises(OptionError, match=r"e/m cannot honour hotwords.*word_timestamps, beam_size") as caught:
        able.check(TranscribeOptions(hotwords="asrlab"), model="e/m")
    assert caught.value.supported == ("word_timestamps", "beam_size")


def test_a_temperature_of_zero_counts_as_asked_for():
    """Zero is a choice, and an engine that does not sample refuses it like any other."""
    with pytest.raises(OptionError, match="temperature"):
        Capabilities().check(TranscribeOptions(temperature=0.0), model="e/m")


def test_a_task_or_language_that_is_not_known_is_refused():
    """The tasks and languages that there are stand in the message."""
    english = Capabilities(languages=("en",))
    english.check(TranscribeOptions(language="en-GB"), model="e/m")
    with pytest.raises(OptionError, match="cannot translate; it can transcribe"):
        english.check(TranscribeOptions(task="translate"), model="e/m")
    with pytest.raises(OptionError, match="does not know the language 'de'; it knows en"):
        english.check(TranscribeOptions(language="de"), model="e/m")


def test_an_engine_option_is_kept_as_given_and_cannot_be_changed():
    """Mappings become pairs and lists tuples; the order in which they were given does not matter."""
    given = {"vad_parameters": {"threshold": 0.4}, "patience": 2, "suppress_tokens": [1, 2], "prefix": None}
    options = TranscribeOptions(engine_options=given)
    assert options == TranscribeOptions(engine_options=dict(reversed(given.items())))
    assert hash(options) == hash(attrs.evolve(options))
    assert options.engine_option("suppress_tokens", ()) == (1, 2)
    assert dict(options.engine_option("vad_parameters", ())) == {"threshold": 0.4}
    assert options.engine_option("prefix", "none given") is None
    assert options.engine_option("best_of", 5) == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "must be a mapping"),
        (["patience"], "must be a mapping"),
        ({1: 2}, "not a string"),
        ({"patience": float("inf")}, "patience=inf must be"),
        ({"suppress_tokens": [object()]}, "suppress_tokens="),
    ],
)
def test_an_engine_option_that_no_record_could_hold_is_refused(given: object, message: str):
    """What cannot be written down cannot be repeated."""
    with pytest.raises(OptionError, match=message):
        TranscribeOptions.of(None, {"engine_options": given})


def test_an_engine_option_that_is_not_known_is_refused():
    """The ones that there are stand in the message, and the nearest."""
    able = Capabilities(engine_options=("best_of", "patience"))
    able.check(TranscribeOptions(engine_options={"patience": 2.0}), model="e/m")
    with pytest.raises(OptionError, match=r"e/m has no engine option 'patients'.*did you mean 'patience'") as caught:
        able.check(TranscribeOptions(engine_options={"patients": 2.0}), model="e/m")
    assert caught.value.supported == ("best_of", "patience")
    with pytest.raises(OptionError, match="it has none"):
        Capabilities().check(TranscribeOptions(engine_options={"patience": 2.0}), model="e/m")


def test_engine_options_come_back_from_a_document():
    """A record of a transcription holds them, and gives them back equal."""
    options = TranscribeOptions(engine_options={"vad_parameters": {"threshold": 0.4}, "suppress_tokens": [-1]})
    plain = json.loads(json.dumps(cattrs.unstructure(options)))
    assert cattrs.structure(plain, TranscribeOptions) == options
