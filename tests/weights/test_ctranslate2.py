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
WIDTH, MELS, AUDIO, TEXT, VOCAB = 64, 4, 6, 5, 7


def fuse(state: dict[str, Any]) -> dict[str, Any]:
    """Name and join an openai-whisper state dict the way CTranslate2 does; written apart from the converter."""
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
        prefix = f"{side}/"
        if rest.startswith("blocks."):
            _, layer, rest = rest.split(".", 2)
            prefix += f"layer_{layer}/"
        if rest.startswith(("attn.key", "attn.value", "cross_attn.value")):
            continue
        known = next(each for each in sorted(names, key=len, reverse=True) if rest.startswith(each))
        leaf = rest[len(known) :]
        if "layer_norm" in names[known]:
            leaf = {"weight": "gamma", "bias": "beta"}[leaf]
        stem = name.rpartition(".")[0]
        if known in ("attn.query.", "cross_attn.key."):
            parts = ("query", "key", "value") if known == "attn.query." else ("key", "value")
            stem = stem.rpartition(".")[0]
            zeros = np.zeros_like(state[f"{stem}.value.bias"])
            array = np.concatenate([state.get(f"{stem}.{part}.{leaf}", zeros) for part in parts])  # noqa: PLW2901
        fused[prefix + names[known] + leaf] = array
        if known == "cross_attn.key.":
            biases = [np.zeros_like(state[f"{stem}.value.bias"]), state[f"{stem}.value.bias"]]
            fused[prefix + names[known] + "bias"] = np.concatenate(biases)
    return fused


def numbers(checkpoint: OpenAICheckpoint) -> dict[str, Any]:
    """Return the parameters as arrays."""
    return {name: tensor.numpy() for name, tensor in checkpoint.state_dict.items()}


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    """The variables of a Whisper with one layer a side and random weights, as CTranslate2 has them."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder/conv1/weight": (WIDTH, MELS, 3),
        "encoder/conv1/bias": (WIDTH,),
        "encoder/conv2/weight": (WIDTH, WIDTH, 3),
        "encoder/conv2/bias": (WIDTH,),
        "encoder/position_encodings/encodings": (AUDIO, WIDTH),
        "decoder/position_encodings/encodings": (TEXT, WIDTH),
        "decoder/embeddings/weight": (VOCAB, WIDTH),
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
    made = {name: rng.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}
    for name, array in made.items():
        if name.endswith("self_attention/linear_0/bias"):
            array[WIDTH : 2 * WIDTH] = 0
        if name.endswith("layer_0/attention/linear_1/bias"):
            array[:WIDTH] = 0
    scalars = {"encoder/num_heads": np.int16(1), "decoder/num_heads": np.int16(1), "decoder/pre_norm": np.int8(1)}
    return made | {name: np.array(value) for name, value in scalars.items()}


@pytest.fixture
def torch() -> Any:
    """PyTorch, without which nothing is converted."""
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def written(tmp_path: Path, pack_ctranslate2: Pack, small: dict[str, Any]) -> Callable[..., Path]:
    """Writes the small model, changed as asked, and returns its folder."""

    def write(**changes: Any) -> Path:
        variables = small | {name.replace("__", "/"): array for name, array in changes.items()}
        kept = {name: array for name, array in variables.items() if array is not None}
        (tmp_path / "model.bin").write_bytes(pack_ctranslate2(kept, aliases=TIED))
        return tmp_path

    return write


def test_the_reader_gives_back_what_was_written(written: Callable[..., Path], small: dict[str, Any]):
    """Names, shapes, types and numbers survive, and an alias shares its variable's memory."""
    model = read_ctranslate2(written() / "model.bin")
    assert (model.spec, model.revision) == ("WhisperSpec", 3)
    assert set(model.variables) == {*small, *TIED}
    for name, array in small.items():
        assert model.variables[name].dtype == array.dtype
        assert np.array_equal(model.variables[name], array)
    assert np.shares_memory(*(model.variables[name] for pair in TIED.items() for name in pair))


def test_the_variables_are_mapped_not_read(written: Callable[..., Path]):
    """An array is a read-only window on the file."""
    array = read_ctranslate2(written() / "model.bin").variables["encoder/conv1/weight"]
    assert isinstance(array.base, np.memmap | np.ndarray)
    assert not array.flags.writeable


@pytest.mark.usefixtures("torch")
def test_the_small_model_converts_and_fuses_back(written: Callable[..., Path], small: dict[str, Any]):
    """Fusing the converted numbers gives every variable back, byte for byte."""
    checkpoint = convert(written())
    back = fuse(numbers(checkpoint))
    assert {name: array.tobytes() for name, array in back.items()} == {
        name: array.tobytes() for name, array in small.items() if array.ndim
    }
    audio = {"n_mels": MELS, "n_audio_ctx": AUDIO, "n_audio_state": WIDTH, "n_audio_head": 1, "n_audio_layer": 1}
    text = {"n_vocab": VOCAB, "n_text_ctx": TEXT, "n_text_state": WIDTH, "n_text_head": 1, "n_text_layer": 1}
    assert checkpoint.dims.as_dict() == audio | text


@pytest.mark.usefixtures("torch")
def test_the_base_model_fuses_back_to_the_very_same_bytes(base: StoredWeights):
    """The conversion of the real base model loses nothing."""
    original = read_ctranslate2(base.path / "model.bin").variables
    back = fuse(numbers(convert(base.path)))
    wanted = {name for name, array in original.items() if array.ndim} - set(TIED)
    assert set(back) == wanted
    assert all(back[name].tobytes() == original[name].tobytes() for name in wanted)


@pytest.mark.parametrize("name", ["base", "tiny_en"])
def test_whisper_loads_the_converted_model_strictly(request: pytest.FixtureRequest, name: str):
    """openai-whisper takes the state dict with no key missing or left over."""
    whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed")
    checkpoint = convert(request.getfixturevalue(name).path)
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**checkpoint.dims.as_dict()))
    model.load_state_dict(dict(checkpoint.state_dict), strict=True)
    parameters = dict(model.named_parameters())
    assert all((parameters[n].half() == t).all() for n, t in checkpoint.state_dict.items() if n in parameters)
    assert {str(tensor.dtype) for tensor in checkpoint.state_dict.values()} == {"torch.float16"}


@pytest.mark.usefixtures("torch")
def test_quantised_weights_are_refused_with_their_type(written: Callable[..., Path]):
    """int8 weights cannot be converted without loss."""
    quantised = np.zeros((3 * WIDTH, WIDTH), np.int8)
    with pytest.raises(WeightsError, match=r"linear_0/weight is int8; quantised.*give the float16 folder"):
        convert(written(encoder__layer_0__self_attention__linear_0__weight=quantised))


@pytest.mark.usefixtures("torch")
def test_a_key_with_a_bias_is_refused(written: Callable[..., Path], small: dict[str, Any]):
    """A bias that Whisper has no place for would be lost."""
    bias = small["decoder/layer_0/attention/linear_1/bias"].copy()
    bias[3] = 1
    with pytest.raises(WeightsError, match="gives the key a bias"):
        convert(written(decoder__layer_0__attention__linear_1__bias=bias))


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
def test_a_model_of_another_layout_is_refused(written: Callable[..., Path], changes: dict[str, Any], reason: str):
    """What is missing, left over or of another shape is named."""
    with pytest.raises(WeightsError, match=reason):
        convert(written(**changes))


@pytest.mark.usefixtures("torch")
def test_an_output_matrix_of_its_own_is_refused(tmp_path: Path, pack_ctranslate2: Pack, small: dict[str, Any]):
    """Whisper has one matrix for input and output; another one would be lost."""
    untied = small | {"decoder/projection/weight": small["decoder/embeddings/weight"] + 1}
    (tmp_path / "model.bin").write_bytes(pack_ctranslate2(untied))
    with pytest.raises(WeightsError, match="projection/weight is not its decoder/embeddings/weight"):
        convert(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path: Path, pack_ctranslate2: Pack, small: dict[str, Any]):
    """A translation model is not a Whisper model."""
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
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes, reason: str):
    """A foreign or cut header is named for what is wrong with it."""
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        read_ctranslate2(path)


def test_a_missing_model_and_a_folder_are_refused(tmp_path: Path):
    """No file, and a folder in its place, are named."""
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
    """Whatever happens to the bytes, the answer is a model or a WeightsError."""
    raw = bytearray(pack_ctranslate2(small, aliases=TIED))
    heads = [i for name in (*small, *TIED) for i in around(raw, name)]
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.sampled_from(heads))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))
    (tmp_path / "model.bin").write_bytes(raw[:end])
    try:
        convert(tmp_path)
    except WeightsError:
        return
    assert end == len(raw)


def around(raw: bytearray, name: str) -> range:
    """Return where a variable's name, shape, type and size are written."""
    at = raw.index(name.encode() + b"\0")
    return range(max(at - 2, 0), min(at + len(name) + 20, len(raw)))


def test_a_real_model_cut_anywhere_is_refused(tmp_path: Path, tiny_en: StoredWeights):
    """A download that stopped is never taken for a model."""
    path = tmp_path / "model.bin"
    shutil.copyfile(tiny_en.path / "model.bin", path)
    for size_bytes in (75_537_501, 60_000_000, 30_000_001, 1_000_000, 4_097, 100, 21, 5, 3):
        with path.open("r+b") as file:
            file.truncate(size_bytes)
        with pytest.raises(WeightsError, match=r"ends at byte|damaged"):
            read_ctranslate2(path)
