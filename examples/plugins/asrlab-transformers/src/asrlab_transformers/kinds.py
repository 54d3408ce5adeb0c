"""What each kind of model can be asked for: Whisper, other encoder-decoders, CTC, transducers."""

from __future__ import annotations

from typing import Any

import torch
from transformers import EncoderDecoderCache
from transformers.generation import utils

from asrlab import Capabilities, OptionError, TranscribeOptions
from asrlab_transformers.pipeline import SpeechPipeline

__all__ = ["call_arguments", "capabilities_of", "detect_language", "detects_language"]

_PADDINGS = ("zeros", "silence")


def capabilities_of(pipe: SpeechPipeline, *, languages: tuple[str, ...] | None) -> Capabilities:
    """Return the capabilities of the model of *pipe*; *languages* if the model does not name its languages."""
    generation = getattr(pipe.model, "generation_config", None)
    if pipe.type == "seq2seq_whisper":
        multilingual = detects_language(pipe)
        return Capabilities(
            tasks=("transcribe", "translate") if multilingual else ("transcribe",),
            languages=tuple(sorted(map(_code, generation.lang_to_id))) if multilingual else ("en",),
            word_timestamps=bool(getattr(generation, "alignment_heads", None)) and _times_words_on(pipe.device.type),
            beam_size=True,
            temperature=True,
            engine_options=("padding",),
        )
    if pipe.type == "seq2seq":
        return Capabilities(languages=languages, beam_size=True, temperature=True)
    timed = pipe.type == "ctc" and hasattr(pipe.tokenizer, "word_delimiter_token")
    return Capabilities(languages=languages, word_timestamps=timed)


def detects_language(pipe: SpeechPipeline) -> bool:
    """Return whether the model is a multilingual Whisper."""
    generation = getattr(pipe.model, "generation_config", None)
    return pipe.type == "seq2seq_whisper" and bool(getattr(generation, "lang_to_id", None))


def detect_language(pipe: SpeechPipeline, samples: Any) -> tuple[str, float]:
    """Detect the language of *samples* with its probability, from Whisper's first token."""
    model, extractor = pipe.model, pipe.feature_extractor
    features = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt").input_features
    ids: dict[str, int] = model.generation_config.lang_to_id
    start = torch.tensor([[model.generation_config.decoder_start_token_id]]).to(pipe.device)
    with torch.no_grad():
        logits = model(input_features=features.to(pipe.device, model.dtype), decoder_input_ids=start).logits
    probabilities = logits[0, -1].float().cpu()[list(ids.values())].softmax(-1)
    best = int(probabilities.argmax())
    return _code(list(ids)[best]), float(probabilities[best])


def call_arguments(pipe: SpeechPipeline, options: TranscribeOptions, *, language: str | None) -> dict[str, Any]:
    """Return the arguments for *pipe* that *options* mean; greedy by default.

    Raises:
        OptionError: There are several temperatures, or no such padding.
    """
    arguments: dict[str, Any] = {}
    if pipe.type == "seq2seq_whisper":
        arguments["padding"] = _padding(options)
        arguments["return_timestamps"] = "word" if options.word_timestamps else True
    elif pipe.type == "ctc" and options.word_timestamps:
        arguments["return_timestamps"] = "word"
    if pipe.type in ("seq2seq", "seq2seq_whisper"):
        arguments["generate_kwargs"] = _generation(pipe, options, language=language)
    return arguments


def _generation(pipe: SpeechPipeline, options: TranscribeOptions, *, language: str | None) -> dict[str, Any]:
    given: dict[str, Any] = {"num_beams": options.beam_size or 1, "do_sample": False}
    temperature = _temperature(options)
    if temperature:
        given |= {"do_sample": True, "temperature": temperature}
    if detects_language(pipe):
        # always both: where the language is left out, upstream leaves out the task too, and the text gets worse
        given |= {"language": language, "task": options.task}
    return given


def _times_words_on(device: str) -> bool:
    """Return whether Whisper's words can be timed on the device.

    On mps transformers 5.23 looks for ``EncoderDecoderCache.layers``, which there is not, when words are timed.

    Source: ``transformers/generation/utils.py``, ``DeferredStopCheck.finish``.
    """
    return device != "mps" or not hasattr(utils, "DeferredStopCheck") or hasattr(EncoderDecoderCache, "layers")


def _temperature(options: TranscribeOptions) -> float:
    ladder = options.temperatures or (0.0,)
    if len(ladder) > 1:
        raise OptionError(
            f"the engine transformers takes one temperature, not {len(ladder)} in turn; give the first alone",
            option="temperature",
        )
    return ladder[0]


def _padding(options: TranscribeOptions) -> str:
    padding = str(options.engine_option("padding", _PADDINGS[0]))
    if padding not in _PADDINGS:
        raise OptionError(
            f"padding {padding!r} is unknown; choose zeros (as OpenAI's code pads) or silence (as transformers does)",
            option="padding",
            supported=_PADDINGS,
        )
    return padding


def _code(token: str) -> str:
    return token.strip("<|>")
