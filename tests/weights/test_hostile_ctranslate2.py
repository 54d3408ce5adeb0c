"""CTranslate2 folders that would end the process by a signal are refused before CTranslate2 opens them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrlab.errors import WeightsError
from asrlab.weights import check_weights

TIED = {"decoder/projection/weight": "decoder/embeddings/weight"}
WIDTH, INNER = 8, 16
TOKENS = ["a", "b", "<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>", "<|nospeech|>", "<|notimestamps|>"]
TOKENS += [f"<|{number / 50:.2f}|>" for number in range(21)]
SCALARS = {"encoder/num_heads": np.int16(2), "decoder/num_heads": np.int16(2), "decoder/pre_norm": np.int8(1)}
SCALARS |= {"decoder/activation": np.int8(3), "decoder/alibi": np.int8(0), "decoder/alignment_layer": np.int16(-1)}
EMBEDDINGS, POSITIONS = "decoder/embeddings/weight", "encoder/position_encodings/encodings"


def shapes() -> dict[str, tuple[int, ...]]:
    """The variables of a Whisper of one layer a side, from CTranslate2's description and not from the check."""
    linear = {"self_attention/linear_0": (3, 1), "self_attention/linear_1": (1, 1), "ffn/linear_0": (2, 1)}
    linear |= {"ffn/linear_1": (1, 2)}
    cross = {"attention/linear_0": (1, 1), "attention/linear_1": (2, 1), "attention/linear_2": (1, 1)}
    found: dict[str, tuple[int, ...]] = {
        "encoder/conv1/weight": (WIDTH, 80, 3),
        "encoder/conv1/bias": (WIDTH,),
        "encoder/conv2/weight": (WIDTH, WIDTH, 3),
        "encoder/conv2/bias": (WIDTH,),
        POSITIONS: (1500, WIDTH),
        "decoder/position_encodings/encodings": (448, WIDTH),
        EMBEDDINGS: (len(TOKENS), WIDTH),
    }
    for side, layers in (("encoder", linear), ("decoder", linear | cross)):
        for name, (rows, columns) in layers.items():
            found[f"{side}/layer_0/{name}/weight"] = (rows * WIDTH, columns * WIDTH)
            found[f"{side}/layer_0/{name}/bias"] = (rows * WIDTH,)
        norms = {f"layer_0/{name.partition('/')[0]}/layer_norm" for name in layers} | {"layer_norm"}
        for norm in norms:
            found |= {f"{side}/{norm}/{leaf}": (WIDTH,) for leaf in ("gamma", "beta")}
    return found


def variables() -> dict[str, Any]:
    """Random numbers in those shapes."""
    rng = np.random.default_rng(0)
    made = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in sorted(shapes().items())}
    return made | {name: np.array(value) for name, value in SCALARS.items()}


@pytest.fixture
def write(tmp_path: Path, pack_ctranslate2: Callable[..., bytes]) -> Callable[..., Path]:
    """Writes the folder, with other variables as asked; None takes one out."""

    def written(changes: dict[str, Any] | None = None, **files: str) -> Path:
        kept = {name: array for name, array in {**variables(), **(changes or {})}.items() if array is not None}
        (tmp_path / "model.bin").write_bytes(pack_ctranslate2(kept, aliases=TIED))
        config = {"suppress_ids": [0], "suppress_ids_begin": [1], "lang_ids": [], "alignment_heads": [[0, 1]]}
        known = {token: place for place, token in enumerate(TOKENS[:2])}
        added = [{"id": place, "content": token, "special": True} for place, token in enumerate(TOKENS) if place > 1]
        tokenizer = {"model": {"type": "BPE", "vocab": known, "merges": []}, "added_tokens": added}
        beside = {"config": config, "vocabulary": TOKENS, "tokenizer": tokenizer}
        for name, content in beside.items():
            (tmp_path / f"{name}.json").write_text(files.get(name, json.dumps(content)), encoding="utf-8")
        if "preprocessor_config" in files:
            (tmp_path / "preprocessor_config.json").write_text(files["preprocessor_config"], encoding="utf-8")
        return tmp_path

    return written


def quantized(kind: str) -> dict[str, Any]:
    """Each weight as CTranslate2 quantises it: int8 with a scale for each row, int16 with one for all."""
    changes: dict[str, Any] = {}
    for name, shape in shapes().items():
        if not name.endswith("weight"):
            continue
        changes[name] = np.ones(shape, kind)
        scale = np.full(shape[:1], 127, np.float32) if kind == "int8" else np.array(np.float32(100))
        changes[f"{name}_scale"] = scale
    return changes


OPEN = """
import sys, numpy, ctranslate2
for folder in sys.argv[1:]:
    try:
        model = ctranslate2.models.Whisper(folder, device="cpu", intra_threads=1)
        encoded = model.encode(ctranslate2.StorageView.from_array(numpy.zeros((1, 80, 3000), numpy.float32)))
        model.generate(encoded, [[3, 4, 6]], max_length=9, beam_size=1)
        model.align(encoded, [3, 4], [[0, 1]], 100)
        print("ran")
    except (RuntimeError, ValueError) as error:
        print("raised", error)
"""


def run_in_ctranslate2(*folders: Path) -> list[str]:
    """Load and run each folder in a process of its own; a signal fails the test."""
    pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    done = subprocess.run([sys.executable, "-c", OPEN, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-500:])
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {name: array.astype(np.float16) for name, array in variables().items() if array.ndim},
        quantized("int8"),
        quantized("int16"),
        {"decoder/scale_alibi": np.array(np.int8(0)), "decoder/projection/bias": np.zeros(len(TOKENS), np.float32)},
    ],
)
def test_what_ctranslate2_runs_is_accepted(write: Callable[..., Path], changes: dict[str, Any]):
    """Every format that converters write, and the settings that newer ones add."""
    folder = write(changes)
    check_weights(folder, "ctranslate2")
    assert run_in_ctranslate2(folder) == ["ran"]


@pytest.mark.parametrize("name", ["base", "tiny_en"])
def test_real_folders_are_accepted(request: pytest.FixtureRequest, name: str):
    """Systran's own, as they are packaged."""
    check_weights(request.getfixturevalue(name).path, "ctranslate2")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (EMBEDDINGS, np.zeros((WIDTH, len(TOKENS)), np.float32), rf"shape \(8, {len(TOKENS)}\), not \(8, 8\)"),
        (EMBEDDINGS, np.zeros((2 * len(TOKENS), WIDTH // 2), np.float32), "has the shape"),
        (EMBEDDINGS, np.zeros((len(TOKENS) + 1, WIDTH), np.float32), "has 28 tokens, but model.bin has .* 29"),
        (EMBEDDINGS, np.zeros((0, WIDTH), np.float32), "a dimension of it is 0"),
        ("decoder/num_heads", np.array(np.int16(0)), "which 0 heads do not divide"),
        ("encoder/num_heads", np.array(np.int16(0)), "which 0 heads do not divide"),
        ("encoder/num_heads", np.array(np.int16(-2)), "which -2 heads do not divide"),
        ("decoder/num_heads", np.array(np.int16(3)), "which 3 heads do not divide"),
        ("decoder/num_heads", np.array(np.float32(2)), "not a whole number"),
        ("decoder/alibi", np.array(np.int8(1)), "its decoder/alibi is 1"),
        ("decoder/activation", np.array(np.int8(99)), "its decoder/activation is 99"),
        (POSITIONS, np.zeros((WIDTH, 1500), np.float32), "positions for 8 frames"),
        ("encoder/conv1/weight", np.zeros((80, WIDTH, 3), np.float32), "has the shape"),
        ("encoder/conv1/weight", np.zeros((WIDTH, 80), np.float32), "has 2 dimensions, not 3"),
        ("encoder/layer_0/ffn/linear_0/bias", None, "lacks 'encoder/layer_0/ffn/linear_0/bias'"),
        ("decoder/layer_5/ffn/linear_0/bias", np.zeros(WIDTH, np.float32), "numbered"),
        ("decoder/layer_0/self_attention/rotary_dim", np.array(np.int32(8)), "rotary_dim is 8"),
        ("decoder/layer_0/self_attention/relative_position_keys", np.zeros((2, 2), np.float32), "does not have"),
        ("decoder/layer_0/attention/linear_1/weight", np.zeros((2 * WIDTH, WIDTH), np.int8), "lacks .*weight_scale"),
        ("decoder/layer_0/attention/linear_1/weight", np.zeros((2 * WIDTH, WIDTH), np.int32), "holds int32"),
        ("decoder/layer_norm/gamma", np.zeros(WIDTH, np.int8), "not floating-point"),
        ("decoder/layer_norm/gamma", np.full(WIDTH, np.nan, np.float32), "gamma' holds numbers that are not finite"),
        ("encoder/layer_norm/beta", np.full(WIDTH, np.inf, np.float16), "beta' holds numbers that are not finite"),
    ],
)
def test_variables_that_cannot_run_are_refused(write: Callable[..., Path], name: str, value: Any, reason: str):
    """Shapes, heads, settings and formats that CTranslate2 trusts, each named with what is wrong."""
    with pytest.raises(WeightsError, match=rf"model\.bin.*({reason}).*fetch the weights again"):
        check_weights(write({name: value}), "ctranslate2")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config", '{"suppress_ids": [100000000]}', "suppress_ids are not a list of token ids below 28"),
        ("config", '{"suppress_ids_begin": [true]}', "suppress_ids_begin are not"),
        ("config", '{"lang_ids": [-5]}', "lang_ids are not"),
        ("config", '{"alignment_heads": [[1, 0]]}', "pairs of one of 1 layers and one of 2 heads"),
        ("config", '{"alignment_heads": [[0, -1]]}', "alignment_heads are not pairs"),
        ("config", '{"quantization_type": 1}', "quantization_type is 1"),
        ("config", "[" * 100_000, "nested too deep"),
        ("config", "[]", "holds a list where a JSON object is needed"),
        ("config", '{"a": "' + "x" * (1 << 20) + '"}', "larger than 1 MiB"),
        ("vocabulary", '["a"]', "has 1 tokens, but model.bin has embeddings for 28"),
        ("vocabulary", json.dumps(["x", *TOKENS[1:4], "y", *TOKENS[5:]]), r"lacks the token <\|transcribe\|>"),
        ("vocabulary", json.dumps([1] * len(TOKENS)), "not a list of tokens"),
        ("tokenizer", "{}", "has no model with a vocabulary"),
        ("tokenizer", '{"model": {"vocab": {"a": 100000000}}}', "token ids that are not below 28"),
        ("tokenizer", '{"model": {"vocab": {"a": 1}}}', r"its <\|endoftext\|> is None, but 2"),
        ("preprocessor_config", '{"feature_size": 128}', "asks for 128 mel bands, but model.bin needs 80"),
        ("preprocessor_config", '{"feature_size": 80, "n_fft": 1000000000}', "its n_fft is 1000000000"),
    ],
)
def test_files_beside_it_that_do_not_belong_are_refused(
    write: Callable[..., Path], name: str, content: str, reason: str
):
    """Token ids, layers and heads in them are indices into the model."""
    with pytest.raises(WeightsError, match=rf"{name}\.json.*{reason}.*fetch the weights again"):
        check_weights(write(**{name: content}), "ctranslate2")


def test_no_mutation_that_is_accepted_ends_ctranslate2(write: Callable[..., Path], tmp_path: Path):
    """Headers with flipped bytes are refused, or CTranslate2 runs them: never a signal."""
    source = write()
    raw, rng = (source / "model.bin").read_bytes(), random.Random(14)  # noqa: S311 - no secret
    names = [*shapes(), *SCALARS]
    heads = {name: raw.index(name.encode() + b"\0") for name in names}
    accepted = []
    for number in range(400):
        changed = bytearray(raw)
        name = rng.choice(names)
        place = heads[name] + len(name) + 1 + rng.randrange(-2, 20)
        changed[place] = rng.choice((0, 1, 2, 255, changed[place] ^ (1 << rng.randrange(8))))
        (source / "model.bin").write_bytes(changed)
        try:
            check_weights(source, "ctranslate2")
        except WeightsError:
            continue
        if len(accepted) < 40:
            folder = tmp_path / f"accepted-{number}"
            folder.mkdir()
            for file in source.glob("*.*"):
                (folder / file.name).write_bytes(file.read_bytes())
            accepted.append(folder)
    assert len(run_in_ctranslate2(*accepted)) == len(accepted) > 5
