"""Prompts that are too long for a model are refused by each engine and each option."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import asrlab
from asrlab import OptionError, Transcriber

pytestmark = pytest.mark.usefixtures("use_weights", "tiny_en_carrier")

LONG, HALF = "word " * 300, "word " * 180
FITS = "word " * 60


@pytest.fixture(scope="module", params=["faster-whisper", "openai-whisper"])
def transcriber(request: pytest.FixtureRequest, use_weights: object) -> Iterator[Transcriber]:
    """Load tiny.en with each engine for Whisper."""
    name = request.param.replace("-", "_").removeprefix("openai_")
    pytest.importorskip(name, reason=f"{request.param} is not installed")
    with asrlab.load(f"{request.param}/tiny.en", device="cpu") as loaded:
        yield loaded


def skip_unless_supported(transcriber: Transcriber, options: dict[str, Any]) -> None:
    """Skip the test if the engine does not support the option; another test checks that it is refused."""
    if "hotwords" in options and not transcriber.info.capabilities.hotwords:
        pytest.skip(f"{transcriber.info.model.engine} has no hotwords")


def token_limit(transcriber: Transcriber, tokens: int) -> dict[str, Any]:
    """Return the engine's option that limits the tokens of a window."""
    name = "max_new_tokens" if transcriber.info.model.engine == "faster-whisper" else "sample_len"
    return {name: tokens}


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"initial_prompt": LONG}, "initial_prompt", r"initial_prompt has 30\d tokens; .*tiny\.en takes 223 at most"),
        ({"hotwords": LONG}, "hotwords", r"hotwords has 30\d tokens; .* takes 223 at most"),
        ({"engine_options": {"prefix": LONG}}, "prefix", r"prefix has 30\d tokens; .* takes 223 at most"),
        (
            {"initial_prompt": HALF, "hotwords": HALF},
            "initial_prompt",
            r"initial_prompt \(18\d tokens\) and hotwords \(18\d tokens\) and the 100 .* are too many together.* 448",
        ),
        (
            {"initial_prompt": HALF, "engine_options": {"prefix": HALF}},
            "initial_prompt",
            r"initial_prompt \(18\d tokens\) and prefix \(18\d tokens\) and the 100 .* too many together.* shorten",
        ),
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_a_text_that_is_too_long_is_refused(
    transcriber: Transcriber,
    options: dict[str, Any],
    option: str,
    message: str,
    batched: bool,  # noqa: FBT001 - a parameter
):
    """The error names the option, its tokens and the limit, before any audio is read."""
    skip_unless_supported(transcriber, options)
    call = partial(transcriber.transcribe_many if batched else transcriber.transcribe, **options)
    with pytest.raises(OptionError, match=message) as caught:
        call(["none.wav", "none.wav"] if batched else "none.wav")
    assert caught.value.option == option


def test_a_prompt_and_a_token_limit_that_exceed_the_context_are_refused(transcriber: Transcriber):
    """A limit of new tokens that does not fit beside the prompt is refused."""
    (name,) = token_limit(transcriber, 1)
    with pytest.raises(
        OptionError, match=rf"initial_prompt \(18\d tokens\) and {name}=300 are too many together"
    ) as caught:
        transcriber.transcribe("none.wav", initial_prompt=HALF, engine_options=token_limit(transcriber, 300))
    assert caught.value.option == name
    with pytest.raises(OptionError, match=rf"{name}=4000 are too many together"):
        transcriber.transcribe("none.wav", engine_options=token_limit(transcriber, 4000))


def test_previous_text_is_shortened_for_hotwords(transcriber: Transcriber):
    """A window after a long text decodes with long hotwords, for which upstream fails with "No position encodings"."""
    if transcriber.info.model.engine != "faster-whisper":
        pytest.skip("openai-whisper has no hotwords")
    from faster_whisper.tokenizer import Tokenizer

    model, hotwords = transcriber.recognizer.model, "word " * 222
    tokenizer = Tokenizer(model.hf_tokenizer, multilingual=False)
    prompt = model.get_prompt(tokenizer, tokenizer.encode(LONG), hotwords=hotwords)
    assert len(prompt) + 20 > model.max_length
    options = SimpleNamespace(
        hotwords=hotwords,
        max_new_tokens=20,
        temperatures=[0.0],
        beam_size=1,
        patience=1,
        length_penalty=1,
        repetition_penalty=1,
        no_repeat_ngram_size=0,
        suppress_blank=True,
        suppress_tokens=[],
        max_initial_timestamp=1.0,
        compression_ratio_threshold=None,
        log_prob_threshold=None,
        no_speech_threshold=None,
    )
    encoded = model.encode(np.zeros((80, 3000), np.float32))
    result, *_ = model.generate_with_fallback(encoded, prompt, tokenizer, options)
    assert result.sequences_ids[0]


def test_previous_text_is_shortened_for_a_prefix(transcriber: Transcriber):
    """The prompt of a window after a long text leaves 100 tokens after a long prefix."""
    if transcriber.info.model.engine != "openai-whisper":
        pytest.skip("faster-whisper uses a prefix only for the first window")
    options = asrlab.TranscribeOptions(engine_options={"prefix": "word " * 200})
    windows = transcriber.recognizer.window_decoder(np.zeros(1600, np.float32), options)
    windows._tokens = list(range(300))  # noqa: SLF001 - the state after some windows
    prompt = windows._prompt()  # noqa: SLF001 - the prompt that upstream receives
    assert prompt == list(range(300))[-len(prompt) :]
    assert 100 < len(prompt) + 200 + 5 + 100 <= 448


@pytest.mark.parametrize("option", ["initial_prompt", "hotwords"])
@pytest.mark.parametrize("engine", ["liquid-audio", "echo"])
def test_an_engine_without_prompts_refuses_them(engine: str, option: str):
    """An engine without prompts or hotwords refuses them by name."""
    capabilities = asrlab.Capabilities(languages=("en",))
    with pytest.raises(OptionError, match=f"{engine}/model cannot honour {option}"):
        capabilities.check(asrlab.TranscribeOptions(**{option: FITS}), model=f"{engine}/model")
