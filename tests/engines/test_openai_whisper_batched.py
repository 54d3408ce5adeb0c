"""Several clips through openai-whisper together, against the same clips one by one and upstream's own loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asrlab
from asrlab import Audio, Batching, TranscribeOptions, Transcriber
from asrlab.batching import ChunkFeatures

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("whisper", reason="openai-whisper is not installed")
pytestmark = pytest.mark.usefixtures("use_weights")

RATE = 16_000
FULL_WINDOW = Batching(padding_s=30.0)


@pytest.fixture(scope="module")
def base(use_weights: Path) -> Iterator[Transcriber]:
    """openai-whisper base, loaded."""
    with asrlab.load("openai-whisper/base", device="cpu") as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def samples(speech: dict[str, asrlab.evaluation.Utterance]) -> list[np.ndarray]:
    """The three shortest of the five clips: the engine takes its time."""
    clips = [asrlab.load_audio(utterance.audio).samples for utterance in speech.values()]
    return sorted(clips, key=len)[:3]


@pytest.mark.slow
def test_texts_of_the_full_window_are_upstreams(base: Transcriber, samples: list[np.ndarray]):
    """To the letter, with times and language, though all are decoded at once and each is encoded once."""
    from whisper import transcribe

    together = [each.unwrap() for each in base.transcribe_many(samples, sample_rate=RATE, batching=FULL_WINDOW)]
    model = base.recognizer._model  # type: ignore[attr-defined] # noqa: SLF001 - upstream's own loop wants it
    for ours, clip in zip(together, samples, strict=True):
        theirs = transcribe(model, clip, fp16=False)
        assert ours.text == " ".join(segment["text"].strip() for segment in theirs["segments"])
        assert [(each.start, each.end) for each in ours.segments] == [
            (pytest.approx(each["start"]), pytest.approx(min(each["end"], ours.duration)))
            for each in theirs["segments"]
        ]
        assert ours.language == theirs["language"] == "en"
        assert ours.decoding is not None
        assert str(ours.decoding).startswith("batched")


@pytest.mark.slow
def test_a_short_window_keeps_the_words(base: Transcriber, samples: list[np.ndarray]):
    """On the clips of the smoke set; each encoding is as short as the longest of them asks for."""
    from asrlab.evaluation.metrics import get_normalizer

    words = get_normalizer("english")
    shapes: list[tuple[int, ...]] = []
    hook = base.recognizer._model.encoder.ln_post.register_forward_hook(  # type: ignore[attr-defined] # noqa: SLF001 - to look in
        lambda _module, _inputs, output: shapes.append(tuple(output.shape))
    )
    try:
        short = [each.unwrap() for each in base.transcribe_many(samples, sample_rate=RATE)]
    finally:
        hook.remove()
    longest = max(len(clip) for clip in samples) / RATE
    assert shapes == [(len(samples), round((longest + 6) * 100) // 2, 512)]
    alone = [each.unwrap() for each in base.transcribe_many(samples, sample_rate=RATE, batching=Batching(batch_size=1))]
    assert [words(each.text) for each in short] == [words(each.text) for each in alone]
    assert [str(each.decoding) for each in short] == ["batched"] * len(samples)


def test_each_clip_has_its_own_language(base: Transcriber, samples: list[np.ndarray]):
    """In one call of upstream's code, which takes one language: each row is told its own."""
    detected = next(base.transcribe_many(samples[:2], sample_rate=RATE)).unwrap()
    assert (detected.language, str(detected.decoding)) == ("en", "batched")
    assert detected.language_probability is not None
    assert detected.language_probability > 0.5
    steps = base.recognizer.batch_backend(TranscribeOptions(), base.batching())  # type: ignore[attr-defined]
    pieces = [ChunkFeatures(features=steps.compute_features(clip), duration=len(clip) / RATE) for clip in samples[:2]]
    apart = [
        steps.decode(steps.encode([piece]), [piece], [tag])[0] for piece, tag in zip(pieces, ("en", "fr"), strict=True)
    ]
    together = steps.decode(steps.encode(pieces), pieces, ["en", "fr"])
    assert together[0].segments[0].text == apart[0].segments[0].text
    assert together[1].avg_logprob == pytest.approx(apart[1].avg_logprob, abs=0.2)
    assert together[1].segments[0].text != next(base.transcribe_many(samples[1:], sample_rate=RATE)).unwrap().text


@pytest.mark.slow
def test_a_beam_search_gives_what_it_gives_alone(base: Transcriber, samples: list[np.ndarray]):
    """Encoded together, searched one after the other, as upstream's search takes only one."""
    options: dict[str, Any] = {"beam_size": 3, "language": "en", "sample_rate": RATE}
    together = [each.unwrap().text for each in base.transcribe_many(samples[:2], batching=FULL_WINDOW, **options)]
    assert together == [base.transcribe(clip, **options).text for clip in samples[:2]]


def test_prompts_reach_the_batch(base: Transcriber, samples: list[np.ndarray]):
    """They change the scores."""

    def score(**options: Any) -> float:
        transcript = next(base.transcribe_many(samples[:2], sample_rate=RATE, language="en", **options)).unwrap()
        assert str(transcript.decoding) == "batched"
        return transcript.segments[0].avg_logprob or 0.0

    assert score(initial_prompt="A chapter of Jane Austen.") != score()


def test_silence_takes_the_full_path(base: Transcriber):
    """The guard sees it; the outcome is that of the loop over windows."""
    silence = Audio(samples=np.zeros(RATE, np.float32), sample_rate=RATE)
    paths = [str(each.unwrap().decoding) for each in base.transcribe_many([silence, silence], language="en")]
    assert all(path.startswith("batched, then full: ") for path in paths), paths


def test_what_only_the_loop_over_windows_can_do_goes_there(base: Transcriber):
    """Word timestamps, sampling from the start, and upstream's own options."""
    for options in ({"word_timestamps": True}, {"temperature": 0.4}, {"engine_options": {"best_of": 2}}):
        assert base.recognizer.batch_backend(TranscribeOptions(**options), Batching()) is None


@settings(max_examples=200, deadline=None)
@given(tokens=st.lists(st.sampled_from([1, 2, 100, 150, 150, 200, 400]), min_size=1, max_size=12))
def test_stamps_part_segments_as_the_engines_do(tokens: list[int]):
    """The same segments, times and end as faster-whisper's, whatever the tokens are: 100 and above are stamps."""
    from types import SimpleNamespace

    transcribe = pytest.importorskip("faster_whisper.transcribe", reason="faster-whisper is not installed")
    from asrlab.engines.whisper import split_at_timestamps

    engine = SimpleNamespace(time_precision=0.02, input_stride=2)
    expected, seek, _ = transcribe.WhisperModel._split_segments_by_timestamps(  # noqa: SLF001 - the source of ours
        engine, SimpleNamespace(timestamp_begin=100), tokens, 0.0, 1000, 10.0, 0
    )
    stretches, rest = split_at_timestamps(tokens, first=100, duration=10.0)
    assert [(list(each.tokens), each.start, each.end) for each in stretches] == [
        (each["tokens"], pytest.approx(each["start"]), pytest.approx(each["end"])) for each in expected
    ]
    assert (1000 if rest is None else round(rest * 100)) == seek
