"""Values and effects of openai-whisper's own options."""

from __future__ import annotations

import math
from typing import Any

import pytest

from asrlab import OptionError, TranscribeOptions
from asrlab.engines.whisper_settings import OpenAIWhisperSettings as Settings


def settings(*, word_timestamps: bool = False, beam_size: int | None = None, **given: Any) -> Settings:
    """Return the settings of these options."""
    options = TranscribeOptions(word_timestamps=word_timestamps, beam_size=beam_size, engine_options=given)
    return Settings.from_options(options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("condition_on_previous_text", 1),
        ("logprob_threshold", "low"),
        ("best_of", 0),
        ("sample_len", 2.5),
        ("length_penalty", 1.5),
        ("suppress_tokens", "1,a"),
        ("suppress_tokens", [1.5]),
        ("prefix", [None]),
        ("clip_timestamps", "a"),
        ("clip_timestamps", [-1.0]),
        ("clip_timestamps", 5),
        ("max_initial_timestamp", "1"),
    ],
)
def test_an_invalid_value_is_refused(name: str, value: Any):
    """A value that upstream cannot use is refused with the name of its option."""
    with pytest.raises(OptionError, match=name) as caught:
        settings(**{name: value})
    assert caught.value.option == name


@pytest.mark.parametrize("name", ["prepend_punctuations", "append_punctuations"])
def test_word_options_require_word_timestamps(name: str):
    """An option for words without ``word_timestamps=True`` is refused."""
    with pytest.raises(OptionError, match="word_timestamps=True"):
        settings(**{name: "-"})
    assert getattr(settings(word_timestamps=True, **{name: "-"}), name) == "-"
    with pytest.raises(OptionError, match="word_timestamps=True"):
        settings(hallucination_silence_threshold=1)


def test_patience_requires_a_beam():
    """``patience`` without ``beam_size`` is refused, as by upstream."""
    with pytest.raises(OptionError, match="beam_size"):
        settings(patience=2.0)
    assert settings(beam_size=2, patience=2.0).patience == 2.0


def test_clips_are_frames_that_end_with_the_audio():
    """Clips are text or a list, the last end is optional, and every end is within the audio."""
    assert settings(clip_timestamps="1,2.5,4").clips(600) == [(100, 250), (400, 600)]
    assert settings(clip_timestamps=[0, 90]).clips(600) == [(0, 600)]
    assert settings(clip_timestamps="").clips(600) == settings().clips(600) == [(0, 600)]


def test_none_disables_a_threshold():
    """None disables the threshold for a failed text, or the threshold for a silent window."""
    scores = {"avg_logprob": -2.0, "no_speech_prob": 0.7}
    assert not settings().has_failed(**scores, compression_ratio=9.0)
    assert settings(no_speech_threshold=None).has_failed(**scores, compression_ratio=1.0)
    assert settings(logprob_threshold=None).has_failed(**scores, compression_ratio=9.0)
    assert not settings(logprob_threshold=None, compression_ratio_threshold=None).has_failed(
        **scores, compression_ratio=9.0
    )
    assert settings().is_silent(**scores)
    assert not settings(no_speech_threshold=None).is_silent(**scores)
    assert not settings().is_silent(avg_logprob=-0.5, no_speech_prob=0.7)
    assert settings(logprob_threshold=None).is_silent(avg_logprob=-0.5, no_speech_prob=0.7)


def test_search_options_depend_on_the_temperature():
    """Temperature 0 has a beam and patience, higher ones have candidates, and upstream receives its own list."""
    options = settings(beam_size=3, patience=2.0, best_of=4, suppress_tokens="5,6")
    cold, warm = options.decoding_arguments(0.0, 3), options.decoding_arguments(0.4, 3)
    assert (cold["beam_size"], cold["patience"], "best_of" in cold) == (3, 2.0, False)
    assert (warm["best_of"], "beam_size" in warm, "patience" in warm) == (4, False, False)
    cold["suppress_tokens"].append(7)
    assert warm["suppress_tokens"] == options.suppress_tokens == [5, 6]


def test_decoding_options_are_passed_on():
    """Each decoding option is passed to upstream by its name, with the given value."""
    given: dict[str, Any] = {
        "length_penalty": 0.5, "suppress_tokens": [7], "suppress_blank": False, "prefix": "Well",
        "max_initial_timestamp": None, "sample_len": 9, "without_timestamps": True,
    }  # fmt: skip
    assert given.items() <= settings(**given).decoding_arguments(0.0, None).items()


def test_names_and_defaults_are_upstreams():
    """Each option is an argument of upstream's functions, with upstream's default."""
    transcribe = pytest.importorskip("whisper.transcribe", reason="openai-whisper is not installed")
    decoding = pytest.importorskip("whisper.decoding", reason="openai-whisper is not installed")
    known = {*transcribe.transcribe.__kwdefaults__, *decoding.DecodingOptions.__dataclass_fields__}
    assert set(Settings.names()) <= known
    defaults = transcribe.transcribe.__kwdefaults__
    for name in ("prepend_punctuations", "append_punctuations", "logprob_threshold", "no_speech_threshold"):
        assert getattr(Settings(), name) == defaults[name]
    assert math.isclose(Settings().compression_ratio_threshold or 0, defaults["compression_ratio_threshold"])
