"""A tiny LFM2.5-Audio checkpoint in the real on-disk format, written by liquid-audio's own classes.

29 MB instead of 3 GB: every part of the model (tokenizer, features, encoder, language model, speech decoder) runs in
seconds. The weights are random, or write one fixed text for any audio. Results with such a checkpoint are marked
(``model.weights_random``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asrlab.errors import OptionError
from asrlab.loading import RANDOM_MARK
from asrlab.patches.direct import patched

if TYPE_CHECKING:
    import torch

# The numbers 7, 128 and 130 are in the code of generate_sequential and generate_interleaved.
_SPECIAL_TOKENS = {
    0: "<|pad|>", 1: "<|startoftext|>", 2: "<|endoftext|>", 6: "<|im_start|>", 7: "<|im_end|>",
    128: "<|audio_start|>", 129: "<|audio_end|>", 130: "<|text_end|>",
}  # fmt: skip
_N_RESERVED_TOKENS = 131
_END_TOKEN = 7
_HIDDEN_SIZE = 64

_LFM_CONFIG: dict[str, Any] = {
    "architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "vocab_size": 512, "hidden_size": _HIDDEN_SIZE,
    "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 4096, "norm_eps": 1e-5, "rope_theta": 1000000.0, "conv_L_cache": 3, "conv_bias": False,
    "block_auto_adjust_ff_dim": False, "block_multiple_of": 32, "block_ffn_dim_multiplier": 1.0,
    "full_attn_idxs": [1], "layer_types": ["conv", "full_attention"], "bos_token_id": 1, "eos_token_id": _END_TOKEN,
    "pad_token_id": 0, "use_cache": True, "tie_embedding": True, "initializer_range": 0.02,
}  # fmt: skip
_CONFIG: dict[str, Any] = {
    "architectures": ["Lfm2AudioForConditionalGeneration"], "codebooks": 8, "tie_audio_embeddings": False,
    "semantic_codebook_factor": 100, "codebook_weight": "log", "interleaved_n_text": 6, "interleaved_n_audio": 12,
    "preprocessor": {
        "sample_rate": 16000, "normalize": "per_feature", "window_size": 0.025, "window_stride": 0.01, "window": "hann",
        "features": 128, "n_fft": 512, "log": True, "frame_splicing": 1, "dither": 1e-5, "pad_to": 0, "pad_value": 0.0,
    },
    "encoder": {
        "feat_in": 128, "feat_out": -1, "n_layers": 2, "d_model": 32, "subsampling": "dw_striding",
        "subsampling_factor": 8, "subsampling_conv_channels": 16, "causal_downsampling": False, "reduction": None,
        "reduction_position": None, "reduction_factor": 1, "ff_expansion_factor": 2,
        "self_attention_model": "rel_pos", "n_heads": 4, "att_context_size": [-1, -1], "xscaling": False,
        "untie_biases": True, "pos_emb_max_len": 5000, "conv_kernel_size": 9, "conv_norm_type": "batch_norm",
        "conv_context_size": None, "dropout": 0.1, "dropout_pre_encoder": 0.1, "dropout_emb": 0.0, "dropout_att": 0.1,
    },
    "lfm": _LFM_CONFIG,
    "depthformer": {"layers": 2, "dim": _HIDDEN_SIZE, "tie": True},
}  # fmt: skip
_DETOKENIZER_CONFIG: dict[str, Any] = {
    **{name: value for name, value in _LFM_CONFIG.items() if name != "full_attn_idxs"},
    "hidden_size": 512, "num_attention_heads": 8, "vocab_size": 8, "sliding_window": 30, "output_size": 1282,
    "layer_types": ["conv", "sliding_attention"],  # llama.cpp's name of full attention, as in the checkpoint on the hub
}  # fmt: skip


def write_tiny_lfm2_audio(folder: Path, *, says: str = "", ends: bool = True, seed: int = 0) -> Path:
    """Write the checkpoint into *folder* and return the folder.

    Args:
        folder: The folder; created if missing.
        says: The text for any audio: ASCII, at most 30 different characters. Empty for random weights.
        ends: True to stop after *says*; False to repeat the last character up to the limit of tokens.
        seed: Seed of the random weights.

    Raises:
        OptionError: If *says* is too long, or repeats a character.
    """
    with patched("liquid-audio", device="cpu"):  # imports liquid-audio even if torchaudio cannot be imported
        return _write(folder, says=says, ends=ends, seed=seed)


def _write(folder: Path, *, says: str, ends: bool, seed: int) -> Path:
    import torch
    from liquid_audio.detokenizer import LFM2AudioDetokenizer
    from liquid_audio.model.conformer.encoder import ConformerEncoderConfig
    from liquid_audio.model.lfm2_audio import DepthformerConfig, LFM2AudioConfig, LFM2AudioModel
    from transformers import Lfm2Config

    folder.mkdir(parents=True, exist_ok=True)
    (folder / RANDOM_MARK).write_text(f"{__doc__}", encoding="utf-8")
    characters = _write_tokenizer(folder)
    _write_json(folder / "config.json", _CONFIG)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {"lfm": Lfm2Config, "encoder": ConformerEncoderConfig, "depthformer": DepthformerConfig}
        config = {name: parts[name](**value) if name in parts else value for name, value in _CONFIG.items()}
        model = LFM2AudioModel(LFM2AudioConfig(**config))
        if says:
            _fix_text(model, [characters[char] for char in f"\n{says}"] + [_END_TOKEN] * ends)
        _save(model, folder / "model.safetensors")
        speech = folder / "audio_detokenizer"
        speech.mkdir(exist_ok=True)
        _write_json(speech / "config.json", _DETOKENIZER_CONFIG)
        decoder_config = Lfm2Config(**_DETOKENIZER_CONFIG | {"layer_types": ["conv", "full_attention"]})
        _save(LFM2AudioDetokenizer(decoder_config), speech / "model.safetensors")
    return folder


def _fix_text(model: Any, chain: list[int]) -> None:
    """Set the weights so that greedy decoding writes the tokens of *chain*, from the last token of the prompt on.

    With the outputs of all layers at zero, the logits after a token are the products of its embedding with all
    embeddings, because input and output share them. Row k is 3^k f_k + 2*3^(k-1) f_(k-1), with orthonormal f: its
    product with row k + 1 is 2*9^k, with itself 1.44*9^k, and with any other row less. So each token is followed by
    the next.
    """
    import torch

    if len(chain) > _HIDDEN_SIZE // 2 or len(set(chain)) < len(chain):
        raise OptionError("says must have at most 30 characters, all different", option="says")
    embeddings = torch.zeros_like(model.lfm.embed_tokens.weight)
    for k, token in enumerate(chain):
        embeddings[token, k] = 3.0**k
        if k:
            embeddings[token, k - 1] = 2 * 3.0 ** (k - 1)
    with torch.no_grad():
        model.lfm.embed_tokens.weight.copy_(embeddings)
        for name, weight in model.lfm.named_parameters():
            if name.endswith(("out_proj.weight", "w2.weight")):
                weight.zero_()


def _write_tokenizer(folder: Path) -> Mapping[str, int]:
    """Write a byte tokenizer with the special tokens at their real numbers; return the tokens of ASCII."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {_SPECIAL_TOKENS.get(number, f"<|reserved_{number}|>"): number for number in range(_N_RESERVED_TOKENS)}
    special = [AddedToken(name, special=True, normalized=False) for name in vocabulary]
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[byte] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": _SPECIAL_TOKENS[1], "eos_token": _SPECIAL_TOKENS[_END_TOKEN], "pad_token": _SPECIAL_TOKENS[0]}
    _write_json(folder / "special_tokens_map.json", names)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_bos_token": True,
    }
    _write_json(folder / "tokenizer_config.json", {**config, **names, "model_max_length": 1_000_000_000})
    return {chr(number): tokenizer.encode(chr(number)).ids[0] for number in range(128)}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _save(module: torch.nn.Module, path: Path) -> None:
    """Save in bfloat16, as on the hub; write tied tensors once, under the first name."""
    from safetensors.torch import save_file

    unique: dict[Any, tuple[str, torch.Tensor]] = {}
    for name, tensor in module.state_dict().items():
        unique.setdefault((tensor.data_ptr() or name, tensor.shape), (name, tensor))
    halves = {name: tensor.bfloat16() if tensor.is_floating_point() else tensor for name, tensor in unique.values()}
    save_file({name: tensor.contiguous().clone() for name, tensor in halves.items()}, path, metadata={"format": "pt"})
