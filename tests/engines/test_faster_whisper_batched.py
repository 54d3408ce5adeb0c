"""Several clips through faster-whisper together, against the same clips one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import asrlab
from asrlab import Audio, Outcome, Transcriber

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
pytestmark = pytest.mark.usefixtures("use_weights")

RATE = 16_000
GREEDY: dict[str, Any] = {"beam_size": 1, "temperature": 0.0}


@pytest.fixture(scope="module")
def base(use_weights: Path) -> Iterator[Transcriber]:
    """faster-whisper base, loaded."""
    with asrlab.load("faster-whisper/base", device="cpu") as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def items(speech: dict[str, asrlab.Utterance]) -> list[Any]:
    """The five clips; then a missing file, samples that are not finite, silence, and two words again and again."""
    clips = list(speech.values())
    two_words = asrlab.load_audio(clips[1].audio).samples[RATE // 2 : RATE]
    return [
        *clips,
        "missing.wav",
        Audio(samples=np.full(RATE, np.nan, np.float32), sample_rate=RATE),
        Audio(samples=np.zeros(RATE, np.float32), sample_rate=RATE),
        Audio(samples=np.tile(two_words, 12), sample_rate=RATE),
    ]


@pytest.fixture(scope="module")
def batched(base: Transcriber, items: list[Any]) -> list[Outcome]:
    """Together, greedy."""
    return list(base.transcribe_many(items, **GREEDY))


@pytest.fixture(scope="module")
def single(base: Transcriber, items: list[Any]) -> list[Outcome]:
    """The same one by one, but for the last."""
    return list(base.transcribe_many(items[:-1], **GREEDY, batch_size=1))


def words_of(outcome: Outcome) -> str:
    """The text of an outcome in Whisper's spelling."""
    from asrlab.metrics import get_normalizer

    return get_normalizer("english")(outcome.unwrap().text)


def test_texts_and_languages_are_those_of_the_full_path(batched: list[Outcome], single: list[Outcome]):
    """On the clips of the smoke set, decoded in one batch and a shorter window."""
    assert [outcome.unwrap().path for outcome in batched[:5]] == ["batched"] * 5
    for together, alone in zip(batched[:5], single[:5], strict=True):
        assert words_of(together) == words_of(alone)
        assert together.unwrap().language == alone.unwrap().language == "en"
        assert together.unwrap().language_probability == pytest.approx(alone.unwrap().language_probability, abs=0.05)


def test_order_and_isolation_hold(batched: list[Outcome], items: list[Any]):
    """An outcome per item, in order; what cannot be read is refused as ever."""
    assert [outcome.index for outcome in batched] == list(range(len(items)))
    assert all(outcome.item is item for outcome, item in zip(batched, items, strict=True))
    assert [getattr(outcome.error, "reason", None) for outcome in batched[5:7]] == ["missing", "not-finite"]


def test_segments_have_times_and_scores(batched: list[Outcome], single: list[Outcome]):
    """Within a second of the full path's, inside the clip, with tokens and Whisper's own scores."""
    for together, alone in zip(batched[:5], single[:5], strict=True):
        ours, theirs = together.unwrap(), alone.unwrap()
        assert ours.segments[-1].end == pytest.approx(theirs.segments[-1].end, abs=1.0)
        for segment in ours.segments:
            assert 0 <= segment.start < segment.end <= ours.duration
            assert segment.temperature == 0.0
            assert segment.tokens
            assert segment.avg_logprob == pytest.approx(theirs.segments[0].avg_logprob, abs=0.2)


def test_doubtful_clips_take_the_full_path(batched: list[Outcome], single: list[Outcome]):
    """Silence and a loop are seen by the engine's own checks; what then comes is the full path's, with its warnings."""
    silence, loop = batched[7].unwrap(), batched[8].unwrap()
    assert silence.path in ("batched, then full: low probability", "batched, then full: no speech")
    assert loop.path in ("batched, then full: compressible", "batched, then full: cut off")
    alone = single[7].unwrap()
    assert (silence.text, silence.segments, silence.language) == (alone.text, alone.segments, alone.language)
    assert "silent" in [warning.code for warning in silence.warnings]
    assert alone.path is None


def test_what_only_the_full_path_can_do_goes_there(base: Transcriber, speech: dict[str, asrlab.Utterance]):
    """Words are timed, in `transcribe_many` as before."""
    audio = [speech["0890"].audio] * 2
    given_words = next(base.transcribe_many(audio, language="en", word_timestamps=True, **GREEDY)).unwrap()
    assert given_words.path is None
    assert given_words.words
    for options in ({"vad_filter": True}, {"temperature": 0.4}, {"temperature": (0.2, 0.4)}):
        assert base.transcribe_batches(many_of(audio, **options)) is None


def many_of(items: list[Any], **options: Any) -> Any:
    """A call of `transcribe_many`."""
    from asrlab.options import TranscribeOptions
    from asrlab.transcriber import Many

    return Many(items=items, options=TranscribeOptions(**options))


def test_prompts_and_hotwords_reach_the_batch(base: Transcriber, speech: dict[str, asrlab.Utterance]):
    """Each changes the scores; a language given has no probability, and keeps its region."""
    audio = [speech["0890"].audio, speech["0880"].audio]

    def score(**options: Any) -> float:
        transcript = next(base.transcribe_many(audio, language="en-GB", **GREEDY, **options)).unwrap()
        assert (transcript.path, transcript.language, transcript.language_probability) == ("batched", "en-GB", None)
        return transcript.segments[0].avg_logprob or 0.0

    plain = score()
    assert score(initial_prompt="A chapter of Jane Austen.") != plain
    assert score(hotwords="Dashwood") != plain


def test_a_text_that_stops_early_is_heard_to_the_end():
    """What was decoded without stamps adds the words behind the last stamp, or takes the place of the text."""
    from faster_whisper.tokenizer import Tokenizer
    from tokenizers import Tokenizer as Words

    from asrlab.engines.faster_whisper.texts import Text, with_rest, with_stamps

    folder = asrlab.weights_path("faster-whisper/base", offline=True)
    tokenizer = Tokenizer(Words.from_file(str(folder / "tokenizer.json")), True, task="transcribe", language="en")  # noqa: FBT003
    stamp = tokenizer.timestamp_begin

    def text(*tokens: int) -> Text:
        return Text(tokens=tokens, tokenizer=tokenizer, avg_logprob=-0.1, no_speech_prob=0.0, ended=True)

    said = tokenizer.encode(" making books by means of movable")
    heard = with_stamps(text(stamp, *said, stamp + 300, stamp + 300), tokenizer, 7.5)
    assert heard.left == pytest.approx(1.5)
    whole = with_rest(heard, text(*tokenizer.encode(" Making books, by means of movable types.")), 7.5).decoded
    assert [(each.text, each.start, each.end) for each in whole.segments] == [
        ("making books by means of movable", 0.0, 6.0),
        ("types.", 6.0, 7.5),
    ]
    other = with_rest(heard, text(*tokenizer.encode(" Quite another sentence here.")), 7.5).decoded
    assert [(each.text, each.start, each.end) for each in other.segments] == [
        ("Quite another sentence here.", 0.0, 7.5)
    ]
    same = with_rest(heard, text(*said), 7.5).decoded
    assert [each.text for each in same.segments] == ["making books by means of movable"]


@settings(max_examples=200, deadline=None)
@given(tokens=st.lists(st.sampled_from([1, 2, 100, 150, 150, 200, 400]), min_size=1, max_size=12))
def test_stamps_part_segments_as_the_engine_does(tokens: list[int]):
    """The same segments, times and end, whatever the tokens are: 100 and above are stamps."""
    from types import SimpleNamespace

    from faster_whisper import WhisperModel

    from asrlab.engines.faster_whisper.stamps import split_at_stamps

    engine = SimpleNamespace(time_precision=0.02, input_stride=2)
    expected, seek, _ = WhisperModel._split_segments_by_timestamps(  # noqa: SLF001 - the source of ours
        engine, SimpleNamespace(timestamp_begin=100), tokens, 0.0, 1000, 10.0, 0
    )
    stretches, rest = split_at_stamps(tokens, first=100, duration=10.0)
    assert [(list(each.tokens), each.start, each.end) for each in stretches] == [
        (each["tokens"], pytest.approx(each["start"]), pytest.approx(each["end"])) for each in expected
    ]
    assert (1000 if rest is None else round(rest * 100)) == seek
