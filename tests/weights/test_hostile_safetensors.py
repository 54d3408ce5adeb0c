"""Folders in the hub's layout whose headers or configurations lie are refused before a library maps them."""

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

BODY = bytes(16 + 8 + 4)
HEADER = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [16, 24]},
    "c": {"dtype": "I8", "shape": [4], "data_offsets": [24, 28]},
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder with this header, and with these numbers behind it."""

    def written(header: Any = HEADER, *, body: bytes = BODY, length: int | None = None, config: str = "{}") -> Path:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        size = struct.pack("<Q", len(text) if length is None else length)
        (tmp_path / "model.safetensors").write_bytes(size + text + body)
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
        return tmp_path

    return written


def changed(name: str, **facts: Any) -> dict[str, Any]:
    """The header with other facts of one tensor."""
    return {**HEADER, name: {**HEADER[name], **facts}}


def test_what_safetensors_writes_is_accepted(write: Callable[..., Path]):
    """Metadata, several formats, and the blanks that pad a header."""
    check_weights(write(), "safetensors")
    check_weights(write(json.dumps(HEADER).encode() + b"    "), "safetensors")


@pytest.mark.parametrize(
    ("header", "choices", "reason"),
    [
        (changed("b", data_offsets=[8, 16]), {}, "begins at byte 8, not 16"),
        (changed("b", data_offsets=[10**12, 10**12 + 8]), {}, "begins at byte"),
        (changed("b", data_offsets=[24, 16]), {}, "has -8 bytes"),
        (changed("b", data_offsets=[-8, 0]), {}, r"has the data_offsets \[-8, 0\]"),
        (changed("b", data_offsets=[16]), {}, "has the data_offsets"),
        (changed("b", shape=[10**9, 10**9]), {}, "of shape .* has 8 bytes"),
        (changed("b", shape=[10**80]), {}, "has the shape"),
        (changed("b", shape=[True, 4]), {}, "has the shape"),
        (changed("b", shape=[1] * 9), {}, "has the shape"),
        (changed("b", dtype="F64"), {}, "dtype F64 has 8 bytes"),
        (changed("b", dtype="C64"), {}, "has the dtype C64"),
        (changed("b", dtype=["F32"]), {}, "has the dtype"),
        (changed("b", more=1), {}, "has no dtype, shape and data_offsets"),
        ({**HEADER, "b": 7}, {}, "has no dtype, shape and data_offsets"),
        ({**HEADER, "__metadata__": {"a": 1}}, {}, "metadata is not text"),
        ({}, {"body": b""}, "declares 0 tensors"),
        (json.dumps(HEADER).encode()[:-1] + b',"c": 1}', {}, "a name occurs twice"),
        (b'{"a":' + b"[" * 100_000, {}, "nested too deep"),
        (b"[]", {}, "is not a JSON object"),
        (b'{"a": \xff}', {}, "is not a JSON object"),
        (HEADER, {"length": 1 << 63}, "header declares 9223372036854775808 bytes"),
        (HEADER, {"length": 99_000_000}, "header declares 99000000 bytes"),
        (HEADER, {"body": BODY[:-1]}, "are 28 bytes, but 27 follow"),
        (HEADER, {"body": BODY + b"x"}, "are 28 bytes, but 29 follow"),
        (HEADER, {"body": BODY[:16] + b"\xc0\x7f" + BODY[18:]}, "'b' holds numbers that are not finite"),
        (HEADER, {"body": b"\0\0\x80\xff" + BODY[4:]}, "'a' holds numbers that are not finite"),
    ],
)
def test_a_header_that_lies_is_refused(write: Callable[..., Path], header: Any, choices: dict[str, Any], reason: str):
    """Offsets, shapes, formats and lengths describe exactly the bytes that are there, and these are numbers."""
    with pytest.raises(WeightsError, match=rf"model\.safetensors.*{reason}.*fetch the weights again"):
        check_weights(write(header, **choices), "safetensors")


@pytest.mark.parametrize("name", ["num_hidden_layers", "encoder_layers", "n_layers", "layers", "codebooks"])
@pytest.mark.parametrize("value", [10**7, 4, -1, True, "2", 2.5, 10**30])
def test_layers_that_cannot_be_are_refused(write: Callable[..., Path], name: str, value: object):
    """There are no more layers than tensors, wherever the count stands."""
    for config in ({name: value}, {"lfm": {name: value}}):
        with pytest.raises(WeightsError, match=rf"config\.json does not describe the weights.*{name} is"):
            check_weights(write(config=json.dumps(config)), "safetensors")


def test_other_settings_are_left_alone(write: Callable[..., Path]):
    """What is no count of layers may be anything that JSON can hold."""
    config = {"layer_types": ["a"] * 9, "num_layers": None, "layers": 3, "x": 1e30, "layerdrop": 0.1, "deep": {"y": []}}
    check_weights(write(config=json.dumps(config)), "safetensors")


def test_any_flipped_bytes_give_only_a_weights_error(write: Callable[..., Path]):
    """400 mutations of the header: what is accepted, safetensors reads with the same shapes."""
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    folder = write()
    path = folder / "model.safetensors"
    whole, rng, accepted = path.read_bytes(), random.Random(14), 0  # noqa: S311 - no secret
    for _ in range(400):
        raw = bytearray(whole)
        for place in rng.choices(range(len(whole) - len(BODY)), k=rng.randint(1, 2)):
            raw[place] = rng.choice((*b'0123456789{}[]",:FBI', raw[place] ^ 1))
        path.write_bytes(raw)
        try:
            check_weights(folder, "safetensors")
        except WeightsError:
            continue
        accepted += 1
        with safetensors.safe_open(path, framework="numpy") as file:
            assert file.keys()
    assert accepted > 5
