"""A CTranslate2 Whisper folder as a folder in Hugging Face's layout, without loss.

::

    from asrlab_transformers.convert import write_hugging_face

    write_hugging_face(asrlab.weights_path("faster-whisper/base"), Path("whisper-base"))

The tensors keep their numbers and their type (float16 in Systran's folders); only their names change. What
generation needs to know (which tokens are never said, which heads time words) is in CTranslate2's ``config.json`` under
other names.

Source: ``transformers/models/whisper/convert_openai_to_hf.py``, for the names.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asrlab import WeightsError
from asrlab.weights import OpenAICheckpoint, WhisperDims, convert as to_openai

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

__all__ = ["hugging_face_name", "write_hugging_face"]

# In order: a later one reads what an earlier one has written.
_RENAMED = (
    (".blocks.", ".layers."),
    (".cross_attn_ln.", ".encoder_attn_layer_norm."),
    (".attn_ln.", ".self_attn_layer_norm."),
    (".mlp_ln.", ".final_layer_norm."),
    (".cross_attn.", ".encoder_attn."),
    (".attn.", ".self_attn."),
    (".query.", ".q_proj."),
    (".key.", ".k_proj."),
    (".value.", ".v_proj."),
    ("_attn.out.", "_attn.out_proj."),
    (".mlp.0.", ".fc1."),
    (".mlp.2.", ".fc2."),
    ("encoder.ln_post.", "encoder.layer_norm."),
    ("decoder.ln.", "decoder.layer_norm."),
    (".token_embedding.", ".embed_tokens."),
    (".positional_embedding", ".embed_positions.weight"),
)
_LONGEST_FIRST_STAMP = 50  # tokens of 20 ms: openai-whisper's max_initial_timestamp of 1 s


def hugging_face_name(name: str) -> str:
    """Return Hugging Face's name of the tensor that openai-whisper calls *name*."""
    for theirs, ours in _RENAMED:
        name = name.replace(theirs, ours)
    return f"model.{name}"


def write_hugging_face(source: Path, folder: Path) -> Path:
    """Convert the CTranslate2 Whisper model in *source*; *folder* is made, and given back.

    Raises:
        WeightsError: *source* holds no such model, or it is quantised or damaged, or *folder* is there already.
    """
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    if folder.exists():
        raise WeightsError(f"{folder} is there already; give the name of a new folder", model=str(folder))
    checkpoint = to_openai(source)
    tokenizer = _tokenizer(source)
    model = WhisperForConditionalGeneration(_config(checkpoint.dims, tokenizer)).to(_dtype(checkpoint))
    model.load_state_dict(_renamed(checkpoint.state_dict), strict=True)
    model.generation_config = _generation_config(source, tokenizer)
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=checkpoint.dims.n_mels).save_pretrained(folder)
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    _write_tokenizer_config(folder, checkpoint.dims)
    return folder


def _renamed(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed = {hugging_face_name(name): tensor for name, tensor in state.items()}
    return renamed | {"proj_out.weight": renamed["model.decoder.embed_tokens.weight"]}  # one matrix for both


def _dtype(checkpoint: OpenAICheckpoint) -> torch.dtype:
    (dtype,) = {tensor.dtype for tensor in checkpoint.state_dict.values()}
    return dtype


def _tokenizer(source: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    path = source / "tokenizer.json"
    if not path.is_file():
        raise WeightsError(f"the folder {source} has no tokenizer.json; pull it again", model=str(source))
    return Tokenizer.from_file(str(path))


def _id(tokenizer: Tokenizer, token: str) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise WeightsError(f"tokenizer.json does not know {token}, which every Whisper has")
    return found


def _config(dims: WhisperDims, tokenizer: Tokenizer) -> Any:
    from transformers import WhisperConfig

    end = _id(tokenizer, "<|endoftext|>")
    return WhisperConfig(
        vocab_size=dims.n_vocab,
        num_mel_bins=dims.n_mels,
        d_model=dims.n_audio_state,
        encoder_layers=dims.n_audio_layer,
        encoder_attention_heads=dims.n_audio_head,
        encoder_ffn_dim=4 * dims.n_audio_state,
        decoder_layers=dims.n_text_layer,
        decoder_attention_heads=dims.n_text_head,
        decoder_ffn_dim=4 * dims.n_text_state,
        max_source_positions=dims.n_audio_ctx,
        max_target_positions=dims.n_text_ctx,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=_id(tokenizer, "<|startoftranscript|>"),
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )


def _generation_config(source: Path, tokenizer: Tokenizer) -> Any:
    from transformers import GenerationConfig

    stated = json.loads((source / "config.json").read_text("utf-8"))
    end = _id(tokenizer, "<|endoftext|>")
    facts: dict[str, Any] = {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": _id(tokenizer, "<|startoftranscript|>"),
        "prev_sot_token_id": _id(tokenizer, "<|startofprev|>"),
        "no_timestamps_token_id": _id(tokenizer, "<|notimestamps|>"),
        "max_length": 448,
        "max_initial_timestamp_index": _LONGEST_FIRST_STAMP,
        "return_timestamps": False,
        "suppress_tokens": stated["suppress_ids"],
        "begin_suppress_tokens": stated["suppress_ids_begin"],
        "alignment_heads": stated["alignment_heads"],
        "is_multilingual": bool(stated.get("lang_ids")),
    }
    if facts["is_multilingual"]:
        facts["lang_to_id"] = {tokenizer.id_to_token(token): token for token in stated["lang_ids"]}
        facts["task_to_id"] = {task: _id(tokenizer, f"<|{task}|>") for task in ("transcribe", "translate")}
    return GenerationConfig(**facts)


def _write_tokenizer_config(folder: Path, dims: WhisperDims) -> None:
    end = "<|endoftext|>"
    facts = {
        "tokenizer_class": "WhisperTokenizer",
        "bos_token": end,
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
        "add_prefix_space": False,
        "model_max_length": dims.n_text_ctx,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
