from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from asrlab.errors import WeightsError
from asrlab.weights import OpenAICheckpoint, StoredWeights, convert, read_ctranslate2

if TYPE_CHECKING:
    from pathlib import Path

Pack = Callable[..., bytes]
TIED = {"decoder/projection/weight": "decoder/embeddings/weight"}
WIDTH, MELS, AUDIO, TEXT, VOCABULARY = 64, 4, 6, 5, 7


def fuse(state: dict[str, Any]) -> dict[str, Any]:
    """Rename and join the tensors of an openai-whisper state dict as CTranslate2 does, without asrlab's converter."""
    names = {
        "conv1.": "conv1/",
        "conv2.": "conv2/",
        "ln_post.": "layer_norm/",
        "ln.": "layer_norm/",
        "positional_embedding": "position_encodings/encodings",
        "token_embedding.": "embeddings/",
        "attn_ln.": "self_attention/layer_norm/",
        "attn.query.": "self_attention/linear_0/",
        "attn.out.": "self_attention/linear_1/",
        "cross_attn_ln.": "attention/layer_norm/",
        "cross_attn.query.": "attention/linear_0/",
        "cross_attn.key.": "attention/linear_1/",
        "cross_attn.out.": "attention/linear_2/",
        "mlp_ln.": "ffn/layer_norm/",
        "mlp.0.": "ffn/linear_0/",
        "mlp.2.": "ffn/linear_1/",
    }
    fused = {}
    for name, array in state.items():
        side, _, rest = name.partition(".")
        path = f"{side}/"
        if rest.startswith("blocks."):
            _, layer, rest = rest.split(".", 2)
            path += f"layer_{layer}/"
        if rest.startswith(("attn.key", "attn.value", "cross_attn.value")):
            continue
        prefix = next(prefix for prefix in sorted(names, key=len, reverse=True) if rest.startswith(prefix))
        leaf = rest[len(prefix) :]
        if "layer_norm" in names[prefix]:
            leaf = {"weight": "gamma", "bias": "beta"}[leaf]
        stem = name.rpartition(".")[0]
        if prefix in ("attn.query.", "cross_attn.key."):
            parts = ("query", "key", "value") if prefix == "attn.query." else ("key", "value")
            stem = stem.rpartition(".")[0]
            zeros = np.zeros_like(state[f"{stem}.value.bias"])
            array = np.concatenate([state.get(f"{stem}.{part}.{leaf}", zeros) for part in parts])  # noqa: PLW2901
        fused[path + names[prefix] + leaf] = array
        if prefix == "cross_attn.key.":
            biases = [np.zeros_like(state[f"{stem}.value.bias"]), state[f"{stem}.value.bias"]]
            fused[path + names[prefix] + "bias"] = np.concatenate(biases)
    return fused


def arrays(checkpoint: OpenAICheckpoint) -> dict[str, Any]:
    """Return the parameters as arrays."""
    return {name: tensor.numpy() for name, tensor in checkpoint.state_dict.items()}


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    """Return random variables of a Whisper model with one layer per side, in CTranslate2's layout."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder/conv1/weight": (WIDTH, MELS, 3),
        "encoder/conv1/bias": (WIDTH,),
        "encoder/conv2/weight": (WIDTH, WIDTH, 3),
        "encoder/conv2/bias": (WIDTH,),
        "encoder/position_encodings/encodings": (AUDIO, WIDTH),
        "decoder/position_encodings/encodings": (TEXT, WIDTH),
        "decoder/embeddings/weight": (VOCABULARY, WIDTH),
    }
    for norm in ("encoder", "encoder/layer_0/self_attention", "encoder/layer_0/ffn", "decoder"):
        shapes |= {f"{norm}/layer_norm/gamma": (WIDTH,), f"{norm}/layer_norm/beta": (WIDTH,)}
    for norm in ("self_attention", "attention", "ffn"):
        shapes |= {f"decoder/layer_0/{norm}/layer_norm/{leaf}": (WIDTH,) for leaf in ("gamma", "beta")}
    linear = {"self_attention/linear_0": (3, 1), "self_attention/linear_1": (1, 1)}
    linear |= {"ffn/linear_0": (4, 1), "ffn/linear_1": (1, 4)}
    cross = {"attention/linear_0": (1, 1), "attention/linear_1": (2, 1), "attention/linear_2": (1, 1)}
    for side, layers in (("encoder", linear), ("decoder", linear | cross)):
        for name, (rows, columns) in layers.items():
            shapes[f"{side}/layer_0/{name}/weight"] = (rows * WIDTH, columns * WIDTH)
            shapes[f"{side}/layer_0/{name}/bias"] = (rows * WIDTH,)
    variables = {name: rng.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}
    for name, array in variables.items():
        if name.endswith("self_attention/linear_0/bias"):
            array[WIDTH : 2 * WIDTH] = 0
        if name.endswith("layer_0/attention/linear_1/bias"):
            array[:WIDTH] = 0
    scalars = {"encoder/num_heads": np.int16(1), "decoder/num_heads": np.int16(1), "decoder/pre_norm": np.int8(1)}
    return variables | {name: np.array(value) for name, value in scalars.items()}


@pytest.fixture
def torch() -> Any:
    """Return PyTorch, which the converter needs."""
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def write_model(tmp_path: Path, pack_ctranslate2: Pack, small: dict[str, Any]) -> Callable[..., Path]:
    """Return a function that writes the small model with changes and returns its folder."""

    def write(**changes: Any) -> Path:
        variables = small | {name.replace("__", "/"): array for name, array in changes.items()}
        remaining = {name: array for name, array in variables.items() if array is not None}
        (tmp_path / "model.bin").write_bytes(pack_ctranslate2(remaining, aliases=TIED))
        return tmp_path

    return write


def test_the_reader_returns_the_written_variables(write_model: Callable[..., Path], small: dict[str, Any]):
    """Names, shapes, types and values are preserved, and an alias shares its variable's memory."""
    model = read_ctranslate2(write_model() / "model.bin")
    assert (model.spec, model.revision) == ("WhisperSpec", 3)
    assert set(model.variables) == {*small, *TIED}
    for name, array in small.items():
        assert model.variables[name].dtype == array.dtype
        assert np.array_equal(model.variables[name], array)
    assert np.shares_memory(*(model.variables[name] for pair in TIED.items() for name in pair))


def test_the_variables_are_memory_mapped(write_model: Callable[..., Path]):
    """An array is a read-only view of the file."""
    array = read_ctranslate2(write_model() / "model.bin").variables["encoder/conv1/weight"]
    assert isinstance(array.base, np.memmap | np.ndarray)
    assert not array.flags.writeable


@pytest.mark.usefixtures("torch")
def test_the_small_model_converts_and_fuses_back(write_model: Callable[..., Path], small: dict[str, Any]):
    """Joining the converted tensors restores every variable, byte for byte."""
    checkpoint = convert(write_model())
    restored = fuse(arrays(checkpoint))
    assert {name: array.tobytes() for name, array in restored.items()} == {
        name: array.tobytes() for name, array in small.items() if array.ndim
    }
    audio = {"n_mels": MELS, "n_audio_ctx": AUDIO, "n_audio_state": WIDTH, "n_audio_head": 1, "n_audio_layer": 1}
    text = {"n_vocab": VOCABULARY, "n_text_ctx": TEXT, "n_text_state": WIDTH, "n_text_head": 1, "n_text_layer": 1}
    assert checkpoint.dims.as_dict() == audio | text


@pytest.mark.usefixtures("torch")
def test_the_base_model_fuses_back_to_the_same_bytes(base: StoredWeights):
    """The conversion of the real base model is lossless."""
    original = read_ctranslate2(base.path / "model.bin").variables
    restored = fuse(arrays(convert(base.path)))
    expected = {name for name, array in original.items() if array.ndim} - set(TIED)
    assert set(restored) == expected
    assert all(restored[name].tobytes() == original[name].tobytes() for name in expected)


@pytest.mark.parametrize("name", ["base", "tiny_en"])
def test_whisper_loads_the_converted_model_strictly(request: pytest.FixtureRequest, name: str):
    """openai-whisper loads the converted state dict without missing or unexpected keys."""
    whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed")
    checkpoint = convert(request.getfixturevalue(name).path)
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**checkpoint.dims.as_dict()))
    model.load_state_dict(dict(checkpoint.state_dict), strict=True)
    parameters = dict(model.named_parameters())
    assert all((parameters[n].half() == t).all() for n, t in checkpoint.state_dict.items() if n in parameters)
    assert {str(tensor.dtype) for tensor in checkpoint.state_dict.values()} == {"torch.float16"}


@pytest.mark.usefixtures("torch")
def test_quantized_weights_are_refused_with_their_type(write_model: Callable[..., Path]):
    """int8 weights cannot be converted without loss."""
    quantized = np.zeros((3 * WIDTH, WIDTH), np.int8)
    with pytest.raises(WeightsError, match=r"linear_0/weight is int8; quantised.*give the float16 folder"):
        convert(write_model(encoder__layer_0__self_attention__linear_0__weight=quantized))


@pytest.mark.usefixtures("torch")
def test_a_key_with_a_bias_is_refused(write_model: Callable[..., Path], small: dict[str, Any]):
    """A bias of the key is refused, because Whisper has no such parameter."""
    bias = small["decoder/layer_0/attention/linear_1/bias"].copy()
    bias[3] = 1
    with pytest.raises(WeightsError, match="gives the key a bias"):
        convert(write_model(decoder__layer_0__attention__linear_1__bias=bias))


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encoder__conv1__bias": None}, "lacks 'encoder/conv1/bias'"),
        ({"decoder__extra": np.zeros(3, np.float16)}, "holds 'decoder/extra'"),
        ({"encoder__num_heads": np.array(np.int16(2))}, "a head of Whisper is 64 wide"),
        ({"encoder__conv2__bias": np.zeros(3, np.float16)}, r"has the shape \(3,\), not \(64,\)"),
        ({"encoder__conv1__weight": np.zeros(3, np.float16)}, "has 1 dimensions, not 3"),
        ({"encoder__layer_2__ffn__linear_0__bias": np.zeros(3, np.float16)}, r"numbered \[0, 2\]"),
    ],
)
def test_a_model_of_another_layout_is_refused(write_model: Callable[..., Path], changes: dict[str, Any], reason: str):
    """The error names a variable that is missing, unexpected or of another shape."""
    with pytest.raises(WeightsError, match=reason):
        convert(write_model(**changes))


@pytest.mark.usefixtures("torch")
def test_a_separate_output_matrix_is_refused(tmp_path: Path, pack_ctranslate2: Pack, small: dict[str, Any]):
    """An output matrix is refused if it differs from the input matrix, because Whisper has one for both."""
    untied = small | {"decoder/projection/weight": small["decoder/embeddings/weight"] + 1}
    (tmp_path / "model.bin").write_bytes(pack_ctranslate2(untied))
    with pytest.raises(WeightsError, match="projection/weight is not its decoder/embeddings/weight"):
        convert(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path: Path, pack_ctranslate2: Pack, small: dict[str, Any]):
    """A translation model is refused because it is not a Whisper model."""
    (tmp_path / "model.bin").write_bytes(pack_ctranslate2(small, spec="TransformerSpec"))
    with pytest.raises(WeightsError, match="is a TransformerSpec, not a Whisper model"):
        convert(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\x05\0\0\0", "its version is 5, not 6"),
        (b"PK\x03\x04" + b"x" * 99, "its version is"),
        (b"\x06\0\0\0\x05\0Whis", "it ends at byte 10"),
        (b"\x06\0\0\0\x02\0W\0\0\0\0\0\xff\xff\xff\xff", "claims 4294967295 variables"),
        (b"\x06\0\0\0\x02\0W\0\0\0\0\0\x01\0\0\0\x02\0a\0\xff", "has 255 dimensions"),
        (b"\x06\0\0\0\x02\0W\0\0\0\0\0\x01\0\0\0\x02\0a\0\x00\x09\x04\0\0\0", "unknown data type 9"),
        (b"\x06\0\0\0\x02\0\xff\0", "not text"),
        (b"\x06\0\0\0\x00\0", "has no end"),
        (b"\x06\0\0\0\x02\0W\0" + b"\0" * 12 + b"more", "4 bytes follow its end"),
        (b"\x06\0\0\0\x02\0W\0\0\0\0\0\x02\0\0\0" + b"\x02\0a\0\0\x01\x01\0\0\0x" * 2, "the name 'a' occurs twice"),
        (b"\x06\0\0\0\x02\0W\0" + b"\0" * 8 + b"\x01\0\0\0\x02\0a\0\x02\0b\0", "'a' refers to 'b', which is missing"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, content: bytes, reason: str):
    """The error names what is wrong with a foreign or truncated header."""
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        read_ctranslate2(path)


def test_a_missing_model_and_a_folder_are_refused(tmp_path: Path):
    """A missing file and a folder at its path are named in the error."""
    with pytest.raises(WeightsError, match="No such file"):
        read_ctranslate2(tmp_path / "model.bin")
    with pytest.raises(WeightsError, match="Is a directory"):
        read_ctranslate2(tmp_path)


@pytest.mark.usefixtures("torch")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_truncation_or_flipped_bytes_give_only_a_weights_error(
    data: st.DataObject, tmp_path: Path, pack_ctranslate2: Pack, small: dict[str, Any]
):
    """Any damage to the file results in a model or in a WeightsError."""
    raw = bytearray(pack_ctranslate2(small, aliases=TIED))
    header_offsets = [i for name in (*small, *TIED) for i in header_range(raw, name)]
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.sampled_from(header_offsets))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))
    (tmp_path / "model.bin").write_bytes(raw[:end])
    try:
        convert(tmp_path)
    except WeightsError:
        return
    assert end == len(raw)


def header_range(raw: bytearray, name: str) -> range:
    """Return the range of bytes that contains a variable's name, shape, type and size."""
    offset = raw.index(name.encode() + b"\0")
    return range(max(offset - 2, 0), min(offset + len(name) + 20, len(raw)))


def test_a_truncated_real_model_is_refused(tmp_path: Path, tiny_en: StoredWeights):
    """An incomplete download of a real model is refused."""
    path = tmp_path / "model.bin"
    shutil.copyfile(tiny_en.path / "model.bin", path)
    for size_bytes in (75_537_501, 60_000_000, 30_000_001, 1_000_000, 4_097, 100, 21, 5, 3):
        with path.open("r+b") as file:
            file.truncate(size_bytes)
        with pytest.raises(WeightsError, match=r"ends at byte|damaged"):
            read_ctranslate2(path)
