"""Folders in the hub's layout with false headers or configurations: asrlab refuses them before loading."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asrlab.errors import WeightsError
from asrlab.weights import check_weights

TENSOR_BYTES = bytes(16 + 8 + 4)
HEADER = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [16, 24]},
    "c": {"dtype": "I8", "shape": [4], "data_offsets": [24, 28]},
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a folder with this header, these tensor bytes and this configuration."""

    def write_folder(
        header: Any = HEADER, *, body: bytes = TENSOR_BYTES, length: int | None = None, config: str = "{}"
    ) -> Path:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        size = struct.pack("<Q", len(text) if length is None else length)
        (tmp_path / "model.safetensors").write_bytes(size + text + body)
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
        return tmp_path

    return write_folder


def header_with(name: str, **fields: Any) -> dict[str, Any]:
    """Return the header with other fields for one tensor."""
    return {**HEADER, name: {**HEADER[name], **fields}}


def test_a_file_that_safetensors_writes_is_accepted(write: Callable[..., Path]):
    """Metadata, several formats and blanks that pad the header are accepted."""
    check_weights(write(), "safetensors")
    check_weights(write(json.dumps(HEADER).encode() + b"    "), "safetensors")


@pytest.mark.parametrize(
    ("header", "options", "reason"),
    [
        (header_with("b", data_offsets=[8, 16]), {}, "begins at byte 8, not 16"),
        (header_with("b", data_offsets=[10**12, 10**12 + 8]), {}, "begins at byte"),
        (header_with("b", data_offsets=[24, 16]), {}, "has -8 bytes"),
        (header_with("b", data_offsets=[-8, 0]), {}, r"has the data_offsets \[-8, 0\]"),
        (header_with("b", data_offsets=[16]), {}, "has the data_offsets"),
        (header_with("b", shape=[10**9, 10**9]), {}, "of shape .* has 8 bytes"),
        (header_with("b", shape=[10**80]), {}, "has the shape"),
        (header_with("b", shape=[True, 4]), {}, "has the shape"),
        (header_with("b", shape=[1] * 9), {}, "has the shape"),
        (header_with("b", dtype="F64"), {}, "dtype F64 has 8 bytes"),
        (header_with("b", dtype="C64"), {}, "has the dtype C64"),
        (header_with("b", dtype=["F32"]), {}, "has the dtype"),
        (header_with("b", more=1), {}, "has no dtype, shape and data_offsets"),
        ({**HEADER, "b": 7}, {}, "has no dtype, shape and data_offsets"),
        ({**HEADER, "__metadata__": {"a": 1}}, {}, "metadata is not text"),
        ({}, {"body": b""}, "declares 0 tensors"),
        (json.dumps(HEADER).encode()[:-1] + b',"c": 1}', {}, "a name occurs twice"),
        (b'{"a":' + b"[" * 100_000, {}, "nested too deep"),
        (b"[]", {}, "is not a JSON object"),
        (b'{"a": \xff}', {}, "is not a JSON object"),
        (HEADER, {"length": 1 << 63}, "header declares 9223372036854775808 bytes"),
        (HEADER, {"length": 99_000_000}, "header declares 99000000 bytes"),
        (HEADER, {"body": TENSOR_BYTES[:-1]}, "are 28 bytes, but 27 follow"),
        (HEADER, {"body": TENSOR_BYTES + b"x"}, "are 28 bytes, but 29 follow"),
        (
            HEADER,
            {"body": TENSOR_BYTES[:16] + b"\xc0\x7f" + TENSOR_BYTES[18:]},
            "'b' holds numbers that are not finite",
        ),
        (HEADER, {"body": b"\0\0\x80\xff" + TENSOR_BYTES[4:]}, "'a' holds numbers that are not finite"),
    ],
)
def test_an_inconsistent_header_is_refused(
    write: Callable[..., Path], header: Any, options: dict[str, Any], reason: str
):
    """Offsets, shapes, formats and lengths must match the bytes of the file, whose values must be finite."""
    with pytest.raises(WeightsError, match=rf"model\.safetensors.*{reason}.*fetch the weights again"):
        check_weights(write(header, **options), "safetensors")


@pytest.mark.parametrize("name", ["num_hidden_layers", "encoder_layers", "n_layers", "layers", "codebooks"])
@pytest.mark.parametrize("value", [10**7, 4, -1, True, "2", 2.5, 10**30])
def test_an_impossible_layer_count_is_refused(write: Callable[..., Path], name: str, value: object):
    """A layer count in the configuration must not exceed the number of tensors, also in a nested object."""
    for config in ({name: value}, {"lfm": {name: value}}):
        with pytest.raises(WeightsError, match=rf"config\.json does not describe the weights.*{name} is"):
            check_weights(write(config=json.dumps(config)), "safetensors")


def test_other_settings_are_not_checked(write: Callable[..., Path]):
    """Settings that are not layer counts may have any JSON value."""
    config = {"layer_types": ["a"] * 9, "num_layers": None, "layers": 3, "x": 1e30, "layerdrop": 0.1, "deep": {"y": []}}
    check_weights(write(config=json.dumps(config)), "safetensors")


def test_any_flipped_bytes_give_only_a_weights_error(write: Callable[..., Path]):
    """Of 400 mutations of the header, safetensors opens every file that the check accepts."""
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    folder = write()
    path = folder / "model.safetensors"
    original, rng, accepted = path.read_bytes(), random.Random(14), 0  # noqa: S311 - not a secret
    for _ in range(400):
        raw = bytearray(original)
        for position in rng.choices(range(len(original) - len(TENSOR_BYTES)), k=rng.randint(1, 2)):
            raw[position] = rng.choice((*b'0123456789{}[]",:FBI', raw[position] ^ 1))
        path.write_bytes(raw)
        try:
            check_weights(folder, "safetensors")
        except WeightsError:
            continue
        accepted += 1
        with safetensors.safe_open(path, framework="numpy") as file:
            assert file.keys()
    assert accepted > 5
