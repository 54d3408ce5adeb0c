"""Builds upstream's pipeline from a folder, as plain weights and without running code from it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_CTC_MAPPING,
    MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING,
    AutoConfig,
    AutoFeatureExtractor,
    AutomaticSpeechRecognitionPipeline,
    AutoModelForCTC,
    AutoModelForSpeechSeq2Seq,
    AutoTokenizer,
)
from transformers.utils import logging

from asrlab import EngineUnavailableError, WeightsError
from asrlab.engines.pytorch import check_model_size
from asrlab.weights import explain_failed_load

__all__ = ["SpeechPipeline", "build_pipeline"]

_ADVICE = "give a folder that save_pretrained wrote, with its tokenizer and its feature extractor"
_PLAIN: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
_UNUSED = ("masked_spec_embed",)  # only training reads it, and many checkpoints lack it


class SpeechPipeline(AutomaticSpeechRecognitionPipeline):  # type: ignore[misc]
    """Upstream's pipeline for samples that asrlab has decoded and resampled.

    Upstream's own step before the model imports torchcodec where it is installed, and fails where it does not load.
    """

    def _sanitize_parameters(self, padding: str = "zeros", **rest: Any) -> Any:
        before, forward, after = super()._sanitize_parameters(**rest)
        return {**before, "padding": padding}, forward, after

    def preprocess(self, inputs: Any, padding: str = "zeros", **_: Any) -> Iterator[dict[str, Any]]:
        """Compute the features of *inputs*: float32, shape (n,), at the rate of the model.

        Whisper's are padded to 30 s: upstream does it with the features of silence (``padding="silence"``), OpenAI's
        own code with zeros. Time stamps and punctuation can differ between the two.

        Source: openai-whisper, ``transcribe``, ``pad_or_trim(mel_segment, N_FRAMES)``.
        """
        extractor = self.feature_extractor
        features = extractor(
            inputs, sampling_rate=extractor.sampling_rate, return_tensors="pt", return_attention_mask=True
        )
        if self.type == "seq2seq_whisper" and padding == "zeros":
            features["input_features"][..., len(inputs) // extractor.hop_length :] = 0.0
        yield {"is_last": True, **features.to(dtype=self.model.dtype)}

    def get_iterator(self, inputs: Any, *choices: Any) -> Iterator[Any]:
        """Yield each result: upstream's implementation writes a setting of its data loader into the environment."""
        *_, before, forward, after = choices  # the first are of the data loader
        for each in inputs:
            yield self.run_single(each, before, forward, after)


def build_pipeline(folder: Path, *, device: str, dtype: torch.dtype) -> SpeechPipeline:
    """Build the pipeline of the model in *folder*.

    Raises:
        EngineUnavailableError: The model needs a package that is not installed.
        WeightsError: It is no model for speech recognition, or lacks tensors.
    """
    try:
        with _quiet(), explain_failed_load(folder, model="a speech recognition model", advice=_ADVICE):
            model = _model(folder, dtype)
            pipe = SpeechPipeline(
                model=model,
                tokenizer=AutoTokenizer.from_pretrained(folder, **_PLAIN),
                feature_extractor=AutoFeatureExtractor.from_pretrained(folder, **_PLAIN),
                device=torch.device(device),
            )
    except ImportError as error:
        raise EngineUnavailableError(
            f"the model in {folder} needs a package that is not here: {_first_line(error)}", engine="transformers"
        ) from error
    pipe.model.eval()
    return pipe


def _model(folder: Path, dtype: torch.dtype) -> Any:
    config = AutoConfig.from_pretrained(folder, **_PLAIN)
    choices: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    if config.model_type == "whisper":
        # upstream changes to it at the first request for the times of words, which would change the numbers after it
        choices["attn_implementation"] = "eager"
    family = _family(folder, config)
    check_model_size(lambda: family.from_config(copy.deepcopy(config)), folder)
    model, info = family.from_pretrained(folder, config=config, **choices, **_PLAIN)
    missing = sorted(name for name in info["missing_keys"] if not name.endswith(_UNUSED))
    if missing:
        raise WeightsError(
            f"the weights in {folder} lack {len(missing)} tensors, such as {missing[0]}, which would be random; "
            "fetch them again",
            model=str(folder),
        )
    if config.model_type == "whisper":
        model.generation_config.max_length = config.max_target_positions // 2  # as openai-whisper's sample_len
    return model


def _family(folder: Path, config: Any) -> Any:
    named = " ".join(config.architectures or ())
    if type(config) in MODEL_FOR_CTC_MAPPING and (
        "ForCTC" in named or type(config) not in MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING
    ):
        if named and "ForCTC" not in named:
            raise _no_recognizer(folder, named)
        return AutoModelForCTC
    if type(config) in MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING:
        return AutoModelForSpeechSeq2Seq
    raise _no_recognizer(folder, named or config.model_type)


def _no_recognizer(folder: Path, named: str) -> WeightsError:
    return WeightsError(
        f"{folder} holds a {named}, which is no model for speech recognition; give one that writes text from speech, "
        "such as Whisper or a ...ForCTC",
        model=str(folder),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress progress bars and all messages but errors during loading."""
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
