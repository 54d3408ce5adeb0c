"""Several clips through faster-whisper together, against the same clips one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

import asrlab
from asrlab import Audio, TranscribeOptions, Transcriber, TranscribeResult
from asrlab.evaluation.metrics import TextPair, get_normalizer, score
from asrlab.options import Batching

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
pytestmark = pytest.mark.usefixtures("use_weights")

RATE = 16_000
CPU_FACTS = Path("/proc/cpuinfo")
HAS_AVX512 = CPU_FACTS.exists() and "avx512f" in CPU_FACTS.read_text(encoding="utf-8")
GREEDY: dict[str, Any] = {"beam_size": 1, "temperature": 0.0}


@pytest.fixture(scope="module")
def base(use_weights: Path) -> Iterator[Transcriber]:
    """faster-whisper base, loaded."""
    with asrlab.load("faster-whisper/base", device="cpu") as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def items(speech: dict[str, asrlab.evaluation.Utterance]) -> list[Any]:
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
def batched(base: Transcriber, items: list[Any]) -> list[TranscribeResult]:
    """Together, greedy."""
    return list(base.transcribe_many(items, **GREEDY))


@pytest.fixture(scope="module")
def single(base: Transcriber, items: list[Any]) -> list[TranscribeResult]:
    """The same one by one, but for the last."""
    return list(base.transcribe_many(items[:-1], **GREEDY, batching=Batching(batch_size=1)))


def words_of(outcome: TranscribeResult) -> str:
    """The text of an outcome in Whisper's spelling."""
    return get_normalizer("english")(outcome.unwrap().text)


def test_texts_and_languages_are_those_of_the_full_path(
    batched: list[TranscribeResult], single: list[TranscribeResult]
):
    """On the clips of the smoke set in one batch and a shorter window; without AVX-512 one word in 70 may differ.

    The kernels of CTranslate2 for int8 differ by processor.
    """
    assert [str(outcome.unwrap().decoding) for outcome in batched[:5]] == ["batched"] * 5
    texts = [" ".join(outcome.unwrap().text for outcome in results[:5]) for results in (single, batched)]
    pair = TextPair(id="smoke", reference=texts[0], hypothesis=texts[1])
    assert score([pair], normalizer=get_normalizer("english")).words.errors <= (0 if HAS_AVX512 else 1)
    for together, alone in zip(batched[:5], single[:5], strict=True):
        assert together.unwrap().language == alone.unwrap().language == "en"
        assert together.unwrap().language_probability == pytest.approx(alone.unwrap().language_probability, abs=0.05)


def test_order_and_isolation_hold(batched: list[TranscribeResult], items: list[Any]):
    """An outcome per item, in order; what cannot be read is refused as ever."""
    assert [outcome.index for outcome in batched] == list(range(len(items)))
    assert all(outcome.item is item for outcome, item in zip(batched, items, strict=True))
    assert [getattr(outcome.error, "reason", None) for outcome in batched[5:7]] == ["missing", "not-finite"]


def test_segments_have_times_and_scores(batched: list[TranscribeResult], single: list[TranscribeResult]):
    """Within a second of the full path's, inside the clip, with tokens and Whisper's own scores."""
    for together, alone in zip(batched[:5], single[:5], strict=True):
        ours, theirs = together.unwrap(), alone.unwrap()
        assert ours.segments[-1].end == pytest.approx(theirs.segments[-1].end, abs=1.0)
        for segment in ours.segments:
            assert 0 <= segment.start < segment.end <= ours.duration
            assert segment.temperature == 0.0
            assert segment.tokens
            assert segment.avg_logprob is not None
            assert theirs.segments[0].avg_logprob is not None
            assert 0 > segment.avg_logprob > theirs.segments[0].avg_logprob - 0.2  # time stamps lower it


def test_doubtful_clips_take_the_full_path(batched: list[TranscribeResult], single: list[TranscribeResult]):
    """Silence and a loop are seen by the engine's own checks; what then comes is the full path's, with its warnings."""
    silence, loop = batched[7].unwrap(), batched[8].unwrap()
    assert str(silence.decoding) in ("batched, then full: low probability", "batched, then full: no speech")
    assert str(loop.decoding) in ("batched, then full: compressible", "batched, then full: cut off")
    alone = single[7].unwrap()
    assert (silence.text, silence.segments, silence.language) == (alone.text, alone.segments, alone.language)
    assert "silent" in [warning.code for warning in silence.warnings]
    assert alone.decoding is None


def test_words_are_timed_in_the_batch(
    base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance], single: list[TranscribeResult]
):
    """By the same code as one by one, from the shorter window: nearly all within two stamps of upstream's."""
    audio = [utterance.audio for utterance in speech.values()]
    together = [each.unwrap() for each in base.transcribe_many(audio, language="en", word_timestamps=True, **GREEDY)]
    assert {str(transcript.decoding) for transcript in together} == {"batched"}
    alone = [base.transcribe(each, language="en", word_timestamps=True, **GREEDY) for each in audio]
    apart = [
        abs(ours.start - theirs.start)
        for mine, other in zip(together, alone, strict=True)
        if [word.text.lower() for word in mine.words] == [word.text.lower() for word in other.words]
        for ours, theirs in zip(mine.words, other.words, strict=True)
    ]
    assert len(apart) > 30
    assert sorted(apart)[int(0.9 * len(apart))] <= 0.1
    for transcript in together:
        assert transcript.text == " ".join(segment.text for segment in transcript.segments)
        assert "".join(word.text for word in transcript.words) == transcript.text.replace(" ", "")


def test_what_only_the_full_path_can_do_goes_there(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Voice activity detection, and sampling from the start."""
    audio = [speech["0890"].audio] * 2
    for options in ({"vad_filter": True}, {"temperature": 0.4}, {"temperature": (0.2, 0.4)}):
        assert base.recognizer.batch_backend(TranscribeOptions(**options), Batching()) is None
    given_vad = next(base.transcribe_many(audio, language="en", vad_filter=True, **GREEDY)).unwrap()
    assert given_vad.decoding is None


def test_the_language_and_the_text_share_one_encoding(
    base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
):
    """One by one, too: upstream encodes the first window twice. The text is upstream's."""
    from faster_whisper import WhisperModel

    samples = asrlab.load_audio(speech["0890"].audio).samples
    model = base.recognizer.model  # type: ignore[attr-defined] # of this engine only
    raw = WhisperModel.__new__(WhisperModel)
    raw.__dict__ = model.__dict__
    upstream, info = raw.transcribe(samples, beam_size=1, temperature=0.0)
    expected = " ".join(segment.text.strip() for segment in upstream)
    calls: list[int] = []
    encode = model.model.encode

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        def encode(self, *arguments: Any, **options: Any) -> Any:
            calls.append(1)
            return encode(*arguments, **options)

    inner = model.model
    model.model = Counting()
    try:
        transcript = base.transcribe(speech["0890"].audio, **GREEDY)
    finally:
        model.model = inner
    assert len(calls) == 1
    assert transcript.text == expected
    assert transcript.language_probability == pytest.approx(info.language_probability, abs=0.01)


def test_long_recordings_are_cut_and_decoded_together(
    base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
):
    """Two minutes: the texts of the clips in their order, with times that grow, in the language of the first piece."""
    clips = [asrlab.load_audio(utterance.audio).samples for utterance in speech.values()]
    long = np.concatenate([part for _ in range(4) for clip in clips for part in (clip, np.zeros(RATE, np.float32))])
    transcript = next(base.transcribe_many([Audio(samples=long, sample_rate=RATE)], **GREEDY)).unwrap()
    assert transcript.decoding is not None
    assert re.fullmatch(r"batched, \d+ chunks(, then full: .*)?", str(transcript.decoding))
    assert transcript.language == "en"
    assert transcript.text.lower().count("dashwood") == 4
    for before, after in pairwise(transcript.segments):
        assert before.end <= after.start + 0.01
    assert transcript.segments[-1].end == pytest.approx(len(long) / RATE, abs=2.5)


def test_workers_and_threads_are_the_callers_choice(base: Transcriber):
    """The caller's settings override tuned ones and defaults; the batch model is loaded once and closed."""
    default = base.batching()
    assert None not in attrs.astuple(default)
    assert base.batching(Batching(workers=3)) == attrs.evolve(default, workers=3)
    base.calibration = Batching(batch_size=4, workers=2)
    try:
        assert base.batching(Batching(workers=3)) == attrs.evolve(default, workers=3, batch_size=4)
    finally:
        base.calibration = None
    with asrlab.load("faster-whisper/base", device="cpu", threads=2) as other:
        recognizer = other.recognizer
        loaded = recognizer.batch_recognizer(Batching(workers=2, threads=1))
        assert loaded is recognizer.batch_recognizer(Batching(workers=2, threads=1))
        assert loaded.info.threads == 1
        assert recognizer.batch_recognizer(Batching(workers=1, threads=2)) is recognizer
    with pytest.raises(asrlab.AsrlabError, match="closed"):
        loaded.model  # type: ignore[attr-defined] # noqa: B018 - it is released along with the transcriber


def test_prompts_and_hotwords_reach_the_batch(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Each changes the scores; a language given has no probability, and keeps its region."""
    audio = [speech["0890"].audio, speech["0880"].audio]

    def score(**options: Any) -> float:
        transcript = next(base.transcribe_many(audio, language="en-GB", **GREEDY, **options)).unwrap()
        assert (str(transcript.decoding), transcript.language, transcript.language_probability) == (
            "batched",
            "en-GB",
            None,
        )
        return transcript.segments[0].avg_logprob or 0.0

    plain = score()
    assert score(initial_prompt="A chapter of Jane Austen.") != plain
    assert score(hotwords="Dashwood") != plain


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Whisper's, for English."""
    from faster_whisper.tokenizer import Tokenizer
    from tokenizers import Tokenizer as Words

    folder = asrlab.weights_path("faster-whisper/base", offline=True)
    return Tokenizer(Words.from_file(str(folder / "tokenizer.json")), True, task="transcribe", language="en")  # noqa: FBT003


def test_sentences_part_segments(tokenizer: Any):
    """Behind full stops and questions, not behind Mr., and where nobody speaks; the tokens go with their words."""
    from asrlab.engines.faster_whisper.batch_backend import split_sentences, split_tokens

    text = ' And Mr. Dashwood said "Stop!" Then he left. Did he? Yes'
    words = [
        asrlab.Word(text=f" {word}", start=place + 5.0 * (word == "Yes"), end=place + 1.0)
        for place, word in enumerate(text.split())
    ]
    parts = ["".join(word.text for word in part) for part in split_sentences(words)]
    assert parts == [' And Mr. Dashwood said "Stop!"', " Then he left.", " Did he?", " Yes"]
    shares = split_tokens(parts, tokenizer.encode(text), tokenizer)
    assert [tokenizer.decode(list(share)) for share in shares] == parts
    late = [asrlab.Word(text=" Right.", start=0.0, end=3.0)]
    late += [attrs.evolve(words[0], start=3.0 + place, end=3.2 + place) for place in range(2)]
    assert [part[0].start for part in split_sentences(late)] == pytest.approx([2.6, 3.0])
    paused = [
        attrs.evolve(word, text=" so", start=2.5 * place, end=2.5 * place + 1) for place, word in enumerate(words)
    ]
    assert [len(part) for part in split_sentences(paused)] == [1] * len(words)
    assert list(split_sentences([])) == []


@given(st.text(alphabet="ab .,?!é日本", min_size=1, max_size=40), st.integers(1, 5))
def test_no_token_is_lost_between_segments(tokenizer: Any, text: str, parts: int):
    """Whatever is written, the shares are the tokens."""
    from asrlab.engines.faster_whisper.batch_backend import split_tokens

    tokens = tokenizer.encode(text)
    edges = [round(part * len(text) / parts) for part in range(parts + 1)]
    shares = split_tokens([text[start:end] for start, end in pairwise(edges)], tokens, tokenizer)
    assert [token for share in shares for token in share] == tokens
