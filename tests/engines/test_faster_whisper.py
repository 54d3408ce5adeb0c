"""The faster-whisper engine, compared with faster-whisper called directly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr

import asrlab
from asrlab import AudioError, DeviceUnavailableError, OptionError, Transcriber, WeightsError

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
pytestmark = pytest.mark.usefixtures("use_weights")


@pytest.fixture(scope="module")
def base(use_weights: Path) -> Iterator[Transcriber]:
    """Load faster-whisper base."""
    with asrlab.load("faster-whisper/base") as transcriber:
        yield transcriber


def test_smoke_is_recognized(base: Transcriber):
    """The smoke set has 70 words and at most one word error."""
    from asrlab.evaluation.metrics import TextPair, get_normalizer, score

    outcomes = list(base.transcribe_many(asrlab.evaluation.load_dataset("smoke")))
    pairs = [TextPair(id=o.item.id, reference=o.item.text, hypothesis=o.unwrap().text) for o in outcomes]
    total = score(pairs, normalizer=get_normalizer("english"))
    assert total.words.reference_length == 70
    assert total.words.errors <= 1


def test_the_cpu_computes_in_int8(base: Transcriber):
    """``auto`` selects int8 on the CPU, and the transcriber reports the format that CTranslate2 loaded."""
    if base.info.device.resolved != "cpu":
        pytest.skip("this machine has a CUDA device")
    assert base.info.compute_type.startswith("int8")
    assert base.info.threads >= 1


def test_results_are_those_of_faster_whisper(base: Transcriber, base_folder: Path, long_speech: np.ndarray):
    """Segments, words, times and scores are those of ``WhisperModel.transcribe`` with the same options."""
    from faster_whisper import WhisperModel

    device = base.info.device.resolved.partition(":")[0]
    raw = WhisperModel(str(base_folder), device=device, compute_type="int8", cpu_threads=base.info.threads or 0)
    segments, info = raw.transcribe(long_speech, beam_size=1, word_timestamps=True)
    expected = list(segments)
    ours = base.transcribe(long_speech, sample_rate=16_000, beam_size=1, word_timestamps=True)
    assert len(ours.segments) == len(expected) > 1
    for segment, theirs in zip(ours.segments, expected, strict=True):
        assert segment.text == theirs.text.strip()
        assert (segment.start, segment.tokens) == (theirs.start, tuple(theirs.tokens))
        assert segment.avg_logprob == pytest.approx(theirs.avg_logprob, abs=1e-4)
        assert [word.text for word in segment.words or ()] == [word.word.strip() for word in theirs.words or ()]
    assert ours.language_probability == pytest.approx(info.language_probability, abs=1e-4)


def test_a_given_language_has_no_probability(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """The probability of a language that the caller gave is None."""
    transcript = base.transcribe(speech["0880"].audio, language="en-GB")
    assert (transcript.language, transcript.language_probability) == ("en-GB", None)


def test_options_reach_the_engine(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Each option changes the scores or times; voice activity detection skips silence."""
    audio = speech["0880"].audio
    plain = base.transcribe(audio, language="en").segments[0].avg_logprob
    for option in ({"initial_prompt": "A chapter of Jane Austen."}, {"hotwords": "Dashwood"}, {"beam_size": 1}):
        assert base.transcribe(audio, language="en", **option).segments[0].avg_logprob != plain
    samples = asrlab.load_audio(audio).samples
    padded = np.concatenate([np.zeros(16_000 * 5, np.float32), samples])
    transcript = base.transcribe(padded, sample_rate=16_000, language="en", vad_filter=True)
    assert transcript.segments[0].start > 4
    assert base.transcribe(audio, language="en", temperature=0.4).segments[0].temperature == 0.4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": "much"}, "patience 'much' must be a number"),
        ({"best_of": 0}, "best_of 0 must be a whole number of at least 1"),
        ({"no_repeat_ngram_size": -1}, "of at least 0"),
        ({"condition_on_previous_text": 1}, "must be True or False"),
        ({"prefix": 3}, "prefix 3 must be text"),
        ({"suppress_tokens": [1.5]}, "must be a list of token ids"),
        ({"clip_timestamps": "1,x"}, "clip_timestamps '1,x' must be seconds"),
        ({"clip_timestamps": [-1]}, "must be seconds of at least 0"),
        ({"no_speech_threshold": True}, "must be a number or None"),
        ({"vad_parameters": {"threshold": 0.5}}, "give vad_filter=True, too"),
        ({"append_punctuations": "."}, "give word_timestamps=True, too"),
    ],
    ids=str,
)
def test_an_invalid_engine_option_is_refused_at_once(base: Transcriber, options: dict[str, object], message: str):
    """An invalid value is refused before any audio is opened, for one recording and for many."""
    for call in (base.transcribe, base.transcribe_many):
        with pytest.raises(OptionError, match=message):
            call("missing.wav", engine_options=options)


def test_an_unknown_parameter_of_the_filter_is_refused(base: Transcriber):
    """The error for an unknown parameter of the filter lists the known parameters."""
    options = {"vad_parameters": {"treshold": 0.5}}
    message = r"treshold=0\.5 must be a number with one of these names: min_silence_duration_ms"
    with pytest.raises(OptionError, match=message):
        base.transcribe("missing.wav", vad_filter=True, engine_options=options)


def test_engine_options_disable_batching(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """With an engine option each recording is decoded alone, and the transcript records the option."""
    audio = [speech["0880"].audio, speech["0890"].audio]
    outcomes = list(base.transcribe_many(audio, language="en", engine_options={"suppress_tokens": [-1, 11]}))
    assert [str(outcome.unwrap().decoding) for outcome in outcomes] == ["None", "None"]
    assert all("," not in outcome.unwrap().text for outcome in outcomes)
    assert outcomes[0].unwrap().options.engine_options == (("suppress_tokens", (-1, 11)),)


def test_language_and_speech_duration_are_known_before_the_first_segment(
    base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
):
    """A started stream has the language, the language probabilities and the duration of the filtered speech."""
    with base.stream(speech["0880"].audio, vad_filter=True) as stream:
        info = stream.start()
        assert (info.language, info.language_probabilities[0][0]) == ("en", "en")
        assert 1.0 < info.speech_duration < 3.0
        assert stream.start() is info
        assert "young man" in next(stream).text


def test_translation_gives_english(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """The task is passed to the model and recorded in the transcript."""
    transcript = base.transcribe(speech["0930"].audio, task="translate", language="en")
    assert transcript.options.task == "translate"
    assert "amiable" in transcript.text


@pytest.mark.slow
def test_silence_and_10_ms_give_a_result(base: Transcriber):
    """Silence of 10 ms to 2 s gives an empty transcript with a warning."""
    for seconds in (0.01, 0.1, 2.0):
        transcript = base.transcribe(np.zeros(round(16_000 * seconds), np.float32), sample_rate=16_000)
        assert transcript.duration == pytest.approx(seconds)
        assert "silent" in [warning.code for warning in transcript.warnings]
    assert base.transcribe(np.zeros(16_000, np.float32), sample_rate=16_000, vad_filter=True).text == ""


def test_an_empty_array_is_refused(base: Transcriber):
    """An array without samples is an `AudioError`."""
    with pytest.raises(AudioError, match="no samples"):
        base.transcribe(np.zeros(0, np.float32), sample_rate=16_000)


def test_an_english_model_refuses_other_languages(use_weights: Path, speech: dict[str, asrlab.evaluation.Utterance]):
    """tiny.en transcribes English and refuses another language and translation."""
    with asrlab.load("faster-whisper/tiny.en", offline=True) as tiny:
        assert "young man" in tiny.transcribe(speech["0880"].audio).text
        with pytest.raises(OptionError, match="it knows en"):
            tiny.transcribe(speech["0880"].audio, language="de")
        with pytest.raises(OptionError, match="it can transcribe"):
            tiny.transcribe(speech["0880"].audio, task="translate")


def test_mps_is_refused_with_ctranslate2s_reason():
    """The error for MPS has the message of CTranslate2."""
    with pytest.raises(DeviceUnavailableError, match="unsupported device mps"):
        asrlab.load("faster-whisper/base", device="mps")


def test_a_compute_type_that_ctranslate2_lacks_is_refused():
    """The error for an unsupported compute type lists the supported types."""
    with pytest.raises(OptionError, match="int8"):
        asrlab.load("faster-whisper/base", device="cpu", compute_type="float12")


def test_a_local_folder_is_loaded_by_path(base_folder: Path, speech: dict[str, asrlab.evaluation.Utterance]):
    """``engine/PATH`` loads a local folder, and the transcript has its checksum."""
    with asrlab.load(f"faster-whisper/{base_folder}") as own:
        transcript = own.transcribe(speech["0930"].audio, language="en")
    assert "amiable" in transcript.text
    assert transcript.model.weights_sha256 == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    """An empty folder, a missing folder and a broken model raise `WeightsError`."""
    with pytest.raises(WeightsError):
        asrlab.load(f"faster-whisper/{tmp_path}")
    with pytest.raises(WeightsError):
        asrlab.load(f"faster-whisper/{tmp_path}/missing")
    (tmp_path / "model.bin").write_bytes(b"not a model")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError):
        asrlab.load(f"faster-whisper/{tmp_path}")


def test_concurrent_calls_return_their_own_texts(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Concurrent calls from two threads return the texts of their own clips."""
    texts: dict[str, str] = {}

    def call(name: str) -> None:
        texts[name] = base.transcribe(speech[name].audio, language="en", beam_size=1).text.lower()

    threads = [threading.Thread(target=call, args=(name,)) for name in ("0880", "0930")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "young man" in texts["0880"]
    assert "amiable" in texts["0930"]


@pytest.mark.slow
def test_close_releases_the_memory(assert_memory_released: Callable[..., None]):
    """Closing releases at least half of the 290 MB of float32 weights, and loading again does not increase memory."""
    assert_memory_released("faster-whisper/base", compute_type="float32")


def test_times_in_a_film_follow_the_players_clock(
    base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance], film: Callable[..., bytes]
):
    """Speech that begins 6 s into a film, with a gap of 5 s in its middle, has the times of a player."""
    clip = speech["0880"].audio
    sound = np.tile(soxr.resample(asrlab.load_audio(clip).samples, 16_000, 48_000), 2)[:, None]
    half = len(sound) / 48_000 / 2
    data = film(
        [sound],
        sample_rate=48_000,
        kind="webm",
        codec="libopus",
        packet_time=lambda seconds: seconds + (6.0 if seconds < half else 11.0),
        picture="libvpx",
        film_s=40.0,
    )
    plain = base.transcribe(clip, language="en", word_timestamps=True).words
    transcript = base.transcribe(data, language="en", word_timestamps=True, vad_filter=True)
    assert [warning.code for warning in transcript.warnings] == ["gap"]
    assert plain is not None
    assert transcript.words is not None
    for offset, words in (
        (6.0, [word for word in transcript.words if word.start < 6.0 + half]),
        (11.0 + half, [word for word in transcript.words if word.start >= 6.0 + half]),
    ):
        assert len(words) == pytest.approx(len(plain), abs=3)
        assert words[0].start == pytest.approx(plain[0].start + offset, abs=0.6)
        assert words[-1].end == pytest.approx(plain[-1].end + offset, abs=0.6)
