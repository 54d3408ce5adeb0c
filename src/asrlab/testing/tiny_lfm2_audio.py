"""A tiny LFM2.5-Audio checkpoint in the real on-disk format, written by liquid-audio's own classes.

29 MB instead of 3 GB: the whole path of a model (tokenizer, features, encoder, language model, speech decoder) runs in
seconds. Its weights are random numbers, and its text means nothing: it may be set up to say one text whatever it hears.
Results with it say so (``model.weights_random``).
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


# Where generate_sequential and generate_interleaved have the numbers in their code: 7, 128, 130.
_SPECIAL = {
    0: "<|pad|>",
    1: "<|startoftext|>",
    2: "<|endoftext|>",
    6: "<|im_start|>",
    7: "<|im_end|>",
    128: "<|audio_start|>",
    129: "<|audio_end|>",
    130: "<|text_end|>",
}
_RESERVED = 131
_END = 7
_HIDDEN = 64

_LFM: dict[str, Any] = {
    "architectures": ["Lfm2ForCausalLM"],
    "model_type": "lfm2",
    "vocab_size": 512,
    "hidden_size": _HIDDEN,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "norm_eps": 1e-5,
    "rope_theta": 1000000.0,
    "conv_L_cache": 3,
    "conv_bias": False,
    "block_auto_adjust_ff_dim": False,
    "block_multiple_of": 32,
    "block_ffn_dim_multiplier": 1.0,
    "full_attn_idxs": [1],
    "layer_types": ["conv", "full_attention"],
    "bos_token_id": 1,
    "eos_token_id": _END,
    "pad_token_id": 0,
    "use_cache": True,
    "tie_embedding": True,
    "initializer_range": 0.02,
}
_CONFIG: dict[str, Any] = {
    "architectures": ["Lfm2AudioForConditionalGeneration"],
    "codebooks": 8,
    "tie_audio_embeddings": False,
    "semantic_codebook_factor": 100,
    "codebook_weight": "log",
    "interleaved_n_text": 6,
    "interleaved_n_audio": 12,
    "preprocessor": {
        "sample_rate": 16000,
        "normalize": "per_feature",
        "window_size": 0.025,
        "window_stride": 0.01,
        "window": "hann",
        "features": 128,
        "n_fft": 512,
        "log": True,
        "frame_splicing": 1,
        "dither": 1e-5,
        "pad_to": 0,
        "pad_value": 0.0,
    },
    "encoder": {
        "feat_in": 128,
        "feat_out": -1,
        "n_layers": 2,
        "d_model": 32,
        "subsampling": "dw_striding",
        "subsampling_factor": 8,
        "subsampling_conv_channels": 16,
        "causal_downsampling": False,
        "reduction": None,
        "reduction_position": None,
        "reduction_factor": 1,
        "ff_expansion_factor": 2,
        "self_attention_model": "rel_pos",
        "n_heads": 4,
        "att_context_size": [-1, -1],
        "xscaling": False,
        "untie_biases": True,
        "pos_emb_max_len": 5000,
        "conv_kernel_size": 9,
        "conv_norm_type": "batch_norm",
        "conv_context_size": None,
        "dropout": 0.1,
        "dropout_pre_encoder": 0.1,
        "dropout_emb": 0.0,
        "dropout_att": 0.1,
    },
    "lfm": _LFM,
    "depthformer": {"layers": 2, "dim": _HIDDEN, "tie": True},
}
_DETOKENIZER: dict[str, Any] = {
    **{name: value for name, value in _LFM.items() if name != "full_attn_idxs"},
    "hidden_size": 512,
    "num_attention_heads": 8,
    "vocab_size": 8,
    "layer_types": ["conv", "sliding_attention"],  # the name that llama.cpp has for full attention, as on the hub
    "sliding_window": 30,
    "output_size": 1282,
}


def write_tiny_lfm2_audio(folder: Path, *, says: str = "", ends: bool = True, seed: int = 0) -> Path:
    """Write the checkpoint into *folder* and return it; takes seconds, most of them liquid-audio's import.

    Args:
        folder: Made if it is not there.
        says: What the model answers to any audio: ASCII, no character twice. Empty leaves its weights random.
        ends: Whether it stops after *says*; if not, it repeats the last character up to the limit of tokens.
        seed: Of the random weights.

    Raises:
        OptionError: *says* is too long, or has a character twice.
    """
    with patched("liquid-audio", device="cpu"):  # imports it even where torchaudio does not import
        return _write(folder, says=says, ends=ends, seed=seed)


def _write(folder: Path, *, says: str, ends: bool, seed: int) -> Path:
    import torch
    from liquid_audio.detokenizer import LFM2AudioDetokenizer
    from transformers import Lfm2Config

    folder.mkdir(parents=True, exist_ok=True)
    (folder / RANDOM_MARK).write_text(f"{__doc__}", encoding="utf-8")
    characters = _write_tokenizer(folder)
    _write_json(folder / "config.json", _CONFIG)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _model()
        if says:
            _let_it_say(model, [characters[char] for char in f"\n{says}"] + [_END] * ends)
        _save(model, folder / "model.safetensors")
        speech = folder / "audio_detokenizer"
        speech.mkdir(exist_ok=True)
        _write_json(speech / "config.json", _DETOKENIZER)
        config = Lfm2Config(**{**_DETOKENIZER, "layer_types": ["conv", "full_attention"]})
        _save(LFM2AudioDetokenizer(config), speech / "model.safetensors")
    return folder


def _model() -> Any:
    from liquid_audio.model.conformer.encoder import ConformerEncoderConfig
    from liquid_audio.model.lfm2_audio import DepthformerConfig, LFM2AudioConfig, LFM2AudioModel
    from transformers import Lfm2Config

    parts = {"lfm": Lfm2Config, "encoder": ConformerEncoderConfig, "depthformer": DepthformerConfig}
    config = {name: parts[name](**value) if name in parts else value for name, value in _CONFIG.items()}
    return LFM2AudioModel(LFM2AudioConfig(**config))


def _let_it_say(model: Any, chain: list[int]) -> None:
    """Make greedy decoding go through the tokens of *chain*, the last of the prompt (a line break) being the first.

    With the layers' outputs at zero, a token's logits are the products of its embedding with all embeddings, which are
    those of the output too. Row k is 3^k f_k + 2*3^(k-1) f_(k-1), with the f orthonormal: its product with row k + 1 is
    2*9^k, and with itself 1.44*9^k, and with any other less. So each token is followed by the next.
    """
    import torch

    if len(chain) > _HIDDEN // 2 or len(set(chain)) < len(chain):
        raise OptionError("says must have at most 30 characters, none of them twice", option="says")
    rows = torch.zeros_like(model.lfm.embed_tokens.weight)
    for k, token in enumerate(chain):
        rows[token, k] = 3.0**k
        if k:
            rows[token, k - 1] = 2 * 3.0 ** (k - 1)
    with torch.no_grad():
        model.lfm.embed_tokens.weight.copy_(rows)
        for name, weight in model.lfm.named_parameters():
            if name.endswith(("out_proj.weight", "w2.weight")):
                weight.zero_()


def _write_tokenizer(folder: Path) -> Mapping[str, int]:
    """Write a tokenizer of single bytes with the special tokens at their real numbers; return those of the bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {_SPECIAL.get(number, f"<|reserved_{number}|>"): number for number in range(_RESERVED)}
    special = [AddedToken(name, special=True, normalized=False) for name in vocabulary]
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[byte] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": _SPECIAL[1], "eos_token": _SPECIAL[_END], "pad_token": _SPECIAL[0]}
    _write_json(folder / "special_tokens_map.json", names)
    facts = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, "add_bos_token": True}
    _write_json(folder / "tokenizer_config.json", {**facts, **names, "model_max_length": 1_000_000_000})
    return {chr(number): tokenizer.encode(chr(number)).ids[0] for number in range(128)}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _save(module: torch.nn.Module, path: Path) -> None:
    """Save in bfloat16, as on the hub, each tensor once: of tied ones the first name stands for both."""
    from safetensors.torch import save_file

    state = module.state_dict()
    kept: dict[Any, str] = {}
    for name, tensor in state.items():
        kept.setdefault((tensor.data_ptr() or name, tensor.shape), name)
    halves = {
        name: state[name].bfloat16() if state[name].is_floating_point() else state[name] for name in kept.values()
    }
    save_file({name: each.contiguous().clone() for name, each in halves.items()}, path, metadata={"format": "pt"})
