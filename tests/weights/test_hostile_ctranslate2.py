"""CTranslate2 folders that would end the process by a signal: asrlab refuses them first."""

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
    """Return the shapes of a Whisper model with one layer per side, as CTranslate2 describes them."""
    linear = {"self_attention/linear_0": (3, 1), "self_attention/linear_1": (1, 1), "ffn/linear_0": (2, 1)}
    linear |= {"ffn/linear_1": (1, 2)}
    cross = {"attention/linear_0": (1, 1), "attention/linear_1": (2, 1), "attention/linear_2": (1, 1)}
    shapes_by_name: dict[str, tuple[int, ...]] = {
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
            shapes_by_name[f"{side}/layer_0/{name}/weight"] = (rows * WIDTH, columns * WIDTH)
            shapes_by_name[f"{side}/layer_0/{name}/bias"] = (rows * WIDTH,)
        norms = {f"layer_0/{name.partition('/')[0]}/layer_norm" for name in layers} | {"layer_norm"}
        for norm in norms:
            shapes_by_name |= {f"{side}/{norm}/{leaf}": (WIDTH,) for leaf in ("gamma", "beta")}
    return shapes_by_name


def variables() -> dict[str, Any]:
    """Return random variables of these shapes, and the settings."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in sorted(shapes().items())}
    return arrays | {name: np.array(value) for name, value in SCALARS.items()}


@pytest.fixture
def write(tmp_path: Path, pack_ctranslate2: Callable[..., bytes]) -> Callable[..., Path]:
    """Return a function that writes the folder with changed variables, and without those that are None."""

    def write_folder(changes: dict[str, Any] | None = None, **files: str) -> Path:
        remaining = {name: array for name, array in {**variables(), **(changes or {})}.items() if array is not None}
        (tmp_path / "model.bin").write_bytes(pack_ctranslate2(remaining, aliases=TIED))
        config = {"suppress_ids": [0], "suppress_ids_begin": [1], "lang_ids": [], "alignment_heads": [[0, 1]]}
        vocabulary = {token: index for index, token in enumerate(TOKENS[:2])}
        added = [{"id": index, "content": token, "special": True} for index, token in enumerate(TOKENS) if index > 1]
        tokenizer = {"model": {"type": "BPE", "vocab": vocabulary, "merges": []}, "added_tokens": added}
        json_files = {"config": config, "vocabulary": TOKENS, "tokenizer": tokenizer}
        for name, content in json_files.items():
            (tmp_path / f"{name}.json").write_text(files.get(name, json.dumps(content)), encoding="utf-8")
        if "preprocessor_config" in files:
            (tmp_path / "preprocessor_config.json").write_text(files["preprocessor_config"], encoding="utf-8")
        return tmp_path

    return write_folder


def quantized(kind: str) -> dict[str, Any]:
    """Return the weights as CTranslate2 quantizes them: one scale per row for int8, one in total for int16."""
    changes: dict[str, Any] = {}
    for name, shape in shapes().items():
        if not name.endswith("weight"):
            continue
        changes[name] = np.ones(shape, kind)
        scale = np.full(shape[:1], 127, np.float32) if kind == "int8" else np.array(np.float32(100))
        changes[f"{name}_scale"] = scale
    return changes


PROGRAM = """
import sys, numpy, ctranslate2
for folder in sys.argv[1:]:
    try:
        model = ctranslate2.models.Whisper(folder, device="cpu", intra_threads=1)
        encoded = model.encode(ctranslate2.StorageView.from_array(numpy.zeros((1, 80, 3000), numpy.float32)))
        model.generate(encoded, [[3, 4, 6]], max_length=9, beam_size=1)
        model.align(encoded, [3, 4], [[0, 1]], 100)
        print("completed")
    except (RuntimeError, ValueError) as error:
        print("raised", error)
"""


def run_in_ctranslate2(*folders: Path) -> list[str]:
    """Load and run the folders in a new process, and fail the test if a signal ends the process."""
    pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    process = subprocess.run([sys.executable, "-c", PROGRAM, *folders], capture_output=True, text=True, check=False)
    assert process.returncode == 0, (process.returncode, process.stdout, process.stderr[-500:])
    return process.stdout.splitlines()


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
def test_a_folder_that_ctranslate2_runs_is_accepted(write: Callable[..., Path], changes: dict[str, Any]):
    """Every format that the converters write, and the settings of newer converters, are accepted."""
    folder = write(changes)
    check_weights(folder, "ctranslate2")
    assert run_in_ctranslate2(folder) == ["completed"]


@pytest.mark.parametrize("name", ["base", "tiny_en"])
def test_real_folders_are_accepted(request: pytest.FixtureRequest, name: str):
    """The packaged folders of Systran's models are accepted."""
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
def test_invalid_variables_are_refused(write: Callable[..., Path], name: str, value: Any, reason: str):
    """The error names the shape, head count, setting or format that CTranslate2 would not check."""
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
def test_json_files_that_do_not_match_the_model_are_refused(
    write: Callable[..., Path], name: str, content: str, reason: str
):
    """Token ids, layers and heads in the JSON files must be valid indices into the model."""
    with pytest.raises(WeightsError, match=rf"{name}\.json.*{reason}.*fetch the weights again"):
        check_weights(write(**{name: content}), "ctranslate2")


def test_no_accepted_mutation_kills_ctranslate2(write: Callable[..., Path], tmp_path: Path):
    """CTranslate2 runs every file with flipped header bytes that the check accepts."""
    source = write()
    raw, rng = (source / "model.bin").read_bytes(), random.Random(14)  # noqa: S311 - not a secret
    names = [*shapes(), *SCALARS]
    header_offsets = {name: raw.index(name.encode() + b"\0") for name in names}
    accepted = []
    for number in range(400):
        data = bytearray(raw)
        name = rng.choice(names)
        position = header_offsets[name] + len(name) + 1 + rng.randrange(-2, 20)
        data[position] = rng.choice((0, 1, 2, 255, data[position] ^ (1 << rng.randrange(8))))
        (source / "model.bin").write_bytes(data)
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
