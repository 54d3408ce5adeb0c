"""faster-whisper through asrlab, against faster-whisper itself."""

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
    """faster-whisper base, loaded."""
    with asrlab.load("faster-whisper/base") as transcriber:
        yield transcriber


def test_smoke_is_recognized(base: Transcriber):
    """At most one word error in 70, as the reference has it."""
    from asrlab.evaluation.metrics import TextPair, get_normalizer, score

    outcomes = list(base.transcribe_many(asrlab.evaluation.load_dataset("smoke")))
    pairs = [TextPair(id=o.item.id, reference=o.item.text, hypothesis=o.unwrap().text) for o in outcomes]
    total = score(pairs, normalizer=get_normalizer("english"))
    assert total.words.reference_length == 70
    assert total.words.errors <= 1


def test_the_cpu_computes_in_int8(base: Transcriber):
    """``auto`` chooses int8 on the CPU, and the transcriber states what CTranslate2 really loaded."""
    if base.info.device.resolved != "cpu":
        pytest.skip("this machine has a CUDA device")
    assert base.info.compute_type.startswith("int8")
    assert base.info.threads >= 1


def test_the_same_as_the_engine_itself(base: Transcriber, base_folder: Path, long_speech: np.ndarray):
    """Segments, words, times and scores are those of ``WhisperModel.transcribe`` with the same options."""
    from faster_whisper import WhisperModel

    device = base.info.device.resolved.partition(":")[0]
    raw = WhisperModel(str(base_folder), device=device, compute_type="int8", cpu_threads=base.info.threads or 0)
    segments, info = raw.transcribe(long_speech, beam_size=1, word_timestamps=True)
    expected = list(segments)
    ours = base.transcribe(long_speech, sample_rate=16_000, beam_size=1, word_timestamps=True)
    assert len(ours.segments) == len(expected) > 1
    for mine, theirs in zip(ours.segments, expected, strict=True):
        assert mine.text == theirs.text.strip()
        assert (mine.start, mine.tokens) == (theirs.start, tuple(theirs.tokens))
        assert mine.avg_logprob == pytest.approx(theirs.avg_logprob, abs=1e-4)
        assert [word.text for word in mine.words or ()] == [word.word.strip() for word in theirs.words or ()]
    assert ours.language_probability == pytest.approx(info.language_probability, abs=1e-4)


def test_a_given_language_has_no_probability(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """A probability is the model's, not the caller's."""
    transcript = base.transcribe(speech["0880"].audio, language="en-GB")
    assert (transcript.language, transcript.language_probability) == ("en-GB", None)


def test_options_reach_the_engine(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Each option changes the scores or times; voice activity detection leaves out silence."""
    audio = speech["0880"].audio
    plain = base.transcribe(audio, language="en").segments[0].avg_logprob
    for option in ({"initial_prompt": "A chapter of Jane Austen."}, {"hotwords": "Dashwood"}, {"beam_size": 1}):
        assert base.transcribe(audio, language="en", **option).segments[0].avg_logprob != plain
    samples = asrlab.load_audio(audio).samples
    padded = np.concatenate([np.zeros(16_000 * 5, np.float32), samples])
    heard = base.transcribe(padded, sample_rate=16_000, language="en", vad_filter=True)
    assert heard.segments[0].start > 4
    assert base.transcribe(audio, language="en", temperature=0.4).segments[0].temperature == 0.4


@pytest.mark.parametrize(
    ("given", "told"),
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
def test_a_bad_value_of_an_engine_option_is_refused_at_once(base: Transcriber, given: dict[str, object], told: str):
    """Before the audio is opened, and for many recordings before the first."""
    for call in (base.transcribe, base.transcribe_many):
        with pytest.raises(OptionError, match=told):
            call("there is no such file", engine_options=given)


def test_an_unknown_parameter_of_the_filter_is_refused(base: Transcriber):
    """Those that there are stand in the message."""
    given = {"vad_parameters": {"treshold": 0.5}}
    with pytest.raises(OptionError, match=r"treshold=0\.5 must be a number with one of these names: min_silence_duration_ms"):
        base.transcribe("there is no such file", vad_filter=True, engine_options=given)


def test_an_engine_option_goes_the_full_path(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Batches know none of them, so that each recording is transcribed by itself, and the transcript says with what."""
    audio = [speech["0880"].audio, speech["0890"].audio]
    outcomes = list(base.transcribe_many(audio, language="en", engine_options={"suppress_tokens": [-1, 11]}))
    assert [str(outcome.unwrap().decoding) for outcome in outcomes] == ["None", "None"]
    assert all("," not in outcome.unwrap().text for outcome in outcomes)
    assert outcomes[0].unwrap().options.engine_options == (("suppress_tokens", (-1, 11)),)


def test_what_is_known_before_the_first_segment(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """The language and what it was weighed against, and what the filter left."""
    with base.stream(speech["0880"].audio, vad_filter=True) as stream:
        begun = stream.start()
        assert (begun.language, begun.language_probabilities[0][0]) == ("en", "en")
        assert 1.0 < begun.speech_duration < 3.0
        assert stream.start() is begun
        assert "young man" in next(stream).text


def test_translation_gives_english(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """The task reaches the model: its token stands in the prompt, and the result says what was asked."""
    transcript = base.transcribe(speech["0930"].audio, task="translate", language="en")
    assert transcript.options.task == "translate"
    assert "amiable" in transcript.text


@pytest.mark.slow
def test_silence_and_a_hundredth_of_a_second_give_a_result(base: Transcriber):
    """Silence is no error; neither are 10 ms, which hold no word."""
    for seconds in (0.01, 0.1, 2.0):
        transcript = base.transcribe(np.zeros(round(16_000 * seconds), np.float32), sample_rate=16_000)
        assert transcript.duration == pytest.approx(seconds)
        assert "silent" in [warning.code for warning in transcript.warnings]
    assert base.transcribe(np.zeros(16_000, np.float32), sample_rate=16_000, vad_filter=True).text == ""


def test_an_empty_array_is_refused(base: Transcriber):
    """No sample is no audio."""
    with pytest.raises(AudioError, match="no samples"):
        base.transcribe(np.zeros(0, np.float32), sample_rate=16_000)


def test_an_english_model_knows_only_english(use_weights: Path, speech: dict[str, asrlab.evaluation.Utterance]):
    """tiny.en transcribes English, and refuses another language or a translation."""
    with asrlab.load("faster-whisper/tiny.en", offline=True) as tiny:
        assert "young man" in tiny.transcribe(speech["0880"].audio).text
        with pytest.raises(OptionError, match="it knows en"):
            tiny.transcribe(speech["0880"].audio, language="de")
        with pytest.raises(OptionError, match="it can transcribe"):
            tiny.transcribe(speech["0880"].audio, task="translate")


def test_mps_says_why_not():
    """CTranslate2 is asked, and its answer is passed on."""
    with pytest.raises(DeviceUnavailableError, match="unsupported device mps"):
        asrlab.load("faster-whisper/base", device="mps")


def test_a_compute_type_that_ctranslate2_lacks_is_refused():
    """The ones there are stand in the message."""
    with pytest.raises(OptionError, match="int8"):
        asrlab.load("faster-whisper/base", device="cpu", compute_type="float12")


def test_a_local_folder_is_loaded_by_path(base_folder: Path, speech: dict[str, asrlab.evaluation.Utterance]):
    """``engine/PATH`` loads a folder of one's own, and its checksum stands in the transcript."""
    with asrlab.load(f"faster-whisper/{base_folder}") as own:
        transcript = own.transcribe(speech["0930"].audio, language="en")
    assert "amiable" in transcript.text
    assert transcript.model.weights_sha256 == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path):
    """An empty folder, a missing one and a broken model are `WeightsError`."""
    with pytest.raises(WeightsError):
        asrlab.load(f"faster-whisper/{tmp_path}")
    with pytest.raises(WeightsError):
        asrlab.load(f"faster-whisper/{tmp_path}/missing")
    (tmp_path / "model.bin").write_bytes(b"not a model")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError):
        asrlab.load(f"faster-whisper/{tmp_path}")


def test_threads_get_their_own_texts(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Calls from several threads give each its own result."""
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
def test_close_gives_the_memory_back(memory_of: Callable[..., None]):
    """Resident memory falls by at least half of the 290 MB of float32 weights, and loading again does not grow it."""
    memory_of("faster-whisper/base", compute_type="float32")


def test_cues_of_a_film_lie_where_its_speech_is(
    base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance], film: Callable[..., bytes]
):
    """Speech that begins 6 s into a film, with 5 s missing in its middle, is timed as a player plays it."""
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
    found = base.transcribe(data, language="en", word_timestamps=True, vad_filter=True)
    assert [warning.code for warning in found.warnings] == ["gap"]
    assert plain is not None
    assert found.words is not None
    for later, words in (
        (6.0, [word for word in found.words if word.start < 6.0 + half]),
        (11.0 + half, [word for word in found.words if word.start >= 6.0 + half]),
    ):
        assert len(words) == pytest.approx(len(plain), abs=3)
        assert words[0].start == pytest.approx(plain[0].start + later, abs=0.6)
        assert words[-1].end == pytest.approx(plain[-1].end + later, abs=0.6)
