"""Batches of clips with openai-whisper, compared with the clips one by one and with upstream's loop."""

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
    """Load openai-whisper base."""
    with asrlab.load("openai-whisper/base", device="cpu") as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def samples(speech: dict[str, asrlab.evaluation.Utterance]) -> list[np.ndarray]:
    """Return the samples of the three shortest clips, because the engine is slow."""
    clips = [asrlab.load_audio(utterance.audio).samples for utterance in speech.values()]
    return sorted(clips, key=len)[:3]


@pytest.mark.slow
def test_full_window_results_are_upstreams(base: Transcriber, samples: list[np.ndarray]):
    """In a batch with full windows, texts, times and languages equal upstream's."""
    from whisper import transcribe

    results = base.transcribe_many(samples, sample_rate=RATE, batching=FULL_WINDOW)
    transcripts = [result.unwrap() for result in results]
    model = base.recognizer._model  # type: ignore[attr-defined] # noqa: SLF001 - upstream's loop requires it
    for ours, clip in zip(transcripts, samples, strict=True):
        theirs = transcribe(model, clip, fp16=False)
        assert ours.text == " ".join(segment["text"].strip() for segment in theirs["segments"])
        assert [(segment.start, segment.end) for segment in ours.segments] == [
            (pytest.approx(segment["start"]), pytest.approx(min(segment["end"], ours.duration)))
            for segment in theirs["segments"]
        ]
        assert ours.language == theirs["language"] == "en"
        assert ours.decoding is not None
        assert str(ours.decoding).startswith("batched")


@pytest.mark.slow
def test_short_windows_change_no_words(base: Transcriber, samples: list[np.ndarray]):
    """Windows as short as the longest clip requires give the words that each clip has alone."""
    from asrlab.evaluation.metrics import get_normalizer

    words = get_normalizer("english")
    shapes: list[tuple[int, ...]] = []
    hook = base.recognizer._model.encoder.ln_post.register_forward_hook(  # type: ignore[attr-defined] # noqa: SLF001 - the test inspects the model
        lambda _module, _inputs, output: shapes.append(tuple(output.shape))
    )
    try:
        short = [result.unwrap() for result in base.transcribe_many(samples, sample_rate=RATE)]
    finally:
        hook.remove()
    longest = max(len(clip) for clip in samples) / RATE
    assert shapes == [(len(samples), round((longest + 6) * 100) // 2, 512)]
    results = base.transcribe_many(samples, sample_rate=RATE, batching=Batching(batch_size=1))
    alone = [result.unwrap() for result in results]
    assert [words(transcript.text) for transcript in short] == [words(transcript.text) for transcript in alone]
    assert [str(transcript.decoding) for transcript in short] == ["batched"] * len(samples)


def test_each_clip_has_its_own_language(base: Transcriber, samples: list[np.ndarray]):
    """Clips in one call of upstream's code, which has one language, are decoded in their own languages."""
    detected = next(base.transcribe_many(samples[:2], sample_rate=RATE)).unwrap()
    assert (detected.language, str(detected.decoding)) == ("en", "batched")
    assert detected.language_probability is not None
    assert detected.language_probability > 0.5
    backend = base.recognizer.batch_backend(TranscribeOptions(), base.batching())  # type: ignore[attr-defined]
    chunks = [ChunkFeatures(features=backend.compute_features(clip), duration=len(clip) / RATE) for clip in samples[:2]]
    single = [
        backend.decode(backend.encode([chunk]), [chunk], [tag])[0]
        for chunk, tag in zip(chunks, ("en", "fr"), strict=True)
    ]
    batched = backend.decode(backend.encode(chunks), chunks, ["en", "fr"])
    assert batched[0].segments[0].text == single[0].segments[0].text
    assert batched[1].avg_logprob == pytest.approx(single[1].avg_logprob, abs=0.2)
    assert batched[1].segments[0].text != next(base.transcribe_many(samples[1:], sample_rate=RATE)).unwrap().text


@pytest.mark.slow
def test_a_beam_search_in_a_batch_equals_single_calls(base: Transcriber, samples: list[np.ndarray]):
    """Clips encoded in one batch and searched one by one, as upstream requires, have the texts of single calls."""
    options: dict[str, Any] = {"beam_size": 3, "language": "en", "sample_rate": RATE}
    results = base.transcribe_many(samples[:2], batching=FULL_WINDOW, **options)
    assert [result.unwrap().text for result in results] == [
        base.transcribe(clip, **options).text for clip in samples[:2]
    ]


def test_prompts_reach_the_batch(base: Transcriber, samples: list[np.ndarray]):
    """A prompt changes the scores of clips in a batch."""

    def score(**options: Any) -> float:
        transcript = next(base.transcribe_many(samples[:2], sample_rate=RATE, language="en", **options)).unwrap()
        assert str(transcript.decoding) == "batched"
        return transcript.segments[0].avg_logprob or 0.0

    assert score(initial_prompt="A chapter of Jane Austen.") != score()


def test_silence_is_decoded_by_the_fallback(base: Transcriber):
    """Silence in a batch fails the quality checks and is decoded by upstream's loop."""
    silence = Audio(samples=np.zeros(RATE, np.float32), sample_rate=RATE)
    paths = [str(result.unwrap().decoding) for result in base.transcribe_many([silence, silence], language="en")]
    assert all(path.startswith("batched, then full: ") for path in paths), paths


def test_unsupported_options_disable_batching(base: Transcriber):
    """Word timestamps, a first temperature above 0 and upstream's own options have no batch backend."""
    for options in ({"word_timestamps": True}, {"temperature": 0.4}, {"engine_options": {"best_of": 2}}):
        assert base.recognizer.batch_backend(TranscribeOptions(**options), Batching()) is None


@settings(max_examples=200, deadline=None)
@given(tokens=st.lists(st.sampled_from([1, 2, 100, 150, 150, 200, 400]), min_size=1, max_size=12))
def test_timestamps_split_segments_as_faster_whisper_does(tokens: list[int]):
    """For any tokens, with timestamps from 100 up, segments, times and end are those of faster-whisper."""
    from types import SimpleNamespace

    transcribe = pytest.importorskip("faster_whisper.transcribe", reason="faster-whisper is not installed")
    from asrlab.engines.whisper import split_at_timestamps

    engine = SimpleNamespace(time_precision=0.02, input_stride=2)
    expected, seek, _ = transcribe.WhisperModel._split_segments_by_timestamps(  # noqa: SLF001 - the reference implementation
        engine, SimpleNamespace(timestamp_begin=100), tokens, 0.0, 1000, 10.0, 0
    )
    spans, rest = split_at_timestamps(tokens, first=100, duration=10.0)
    assert [(list(span.tokens), span.start, span.end) for span in spans] == [
        (segment["tokens"], pytest.approx(segment["start"]), pytest.approx(segment["end"])) for segment in expected
    ]
    assert (1000 if rest is None else round(rest * 100)) == seek
