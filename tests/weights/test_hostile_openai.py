"""openai-whisper checkpoints that would crash, hang or exhaust the memory: asrlab refuses them first."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asrlab.errors import WeightsError
from asrlab.weights import check_weights

torch = pytest.importorskip("torch", reason="torch is not installed")
whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed")

NORM = "decoder.ln.bias"
DIMS = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 4, "n_audio_head": 2, "n_audio_layer": 1}
DIMS |= {"n_vocab": 51_864, "n_text_ctx": 448, "n_text_state": 4, "n_text_head": 2, "n_text_layer": 1}


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    """Return the zero tensors of a small Whisper model, named and shaped by openai-whisper's own class."""
    tensors = whisper.model.Whisper(whisper.model.ModelDimensions(**DIMS)).state_dict()
    return {name: torch.zeros_like(tensor).half() for name, tensor in tensors.items()}


@pytest.fixture
def write(tmp_path: Path, state: dict[str, Any]) -> Callable[..., Path]:
    """Return a function that writes the checkpoint with changes, and without tensors that are None."""

    def write_checkpoint(
        dims: dict[str, Any] | None = None, changes: dict[Any, Any] | None = None, **save_options: Any
    ) -> Path:
        remaining = {name: tensor for name, tensor in {**state, **(changes or {})}.items() if tensor is not None}
        torch.save({"dims": {**DIMS, **(dims or {})}, "model_state_dict": remaining}, tmp_path / "x.pt", **save_options)
        return tmp_path / "x.pt"

    return write_checkpoint


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_whisper_loads_is_accepted(write: Callable[..., Path], zipped: bool):  # noqa: FBT001 - a parameter
    """Both layouts of torch.save are accepted, and parameters are accepted as tensors."""
    parameter = {NORM: torch.nn.Parameter(torch.zeros(4).half())}
    check_weights(write(changes=parameter, _use_new_zipfile_serialization=zipped), "openai-pt")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("n_audio_layer", 10**7, "declares 10000000 and 1 layers, which are 150000035 tensors, but holds 50"),
        ("n_text_layer", 10**7, "declares 1 and 10000000 layers"),
        ("n_vocab", 10**9, "token_embedding.weight has the shape"),
        ("n_text_ctx", 10**9, "positional_embedding has the shape"),
        ("n_audio_layer", 10**30, "is a number of 100 bits"),
        ("n_audio_layer", True, "its n_audio_layer is True, not a whole number"),
        ("n_audio_layer", 1.0, "its n_audio_layer is 1.0"),
        ("n_audio_layer", [1], "its n_audio_layer is a list"),
        ("n_audio_layer", "1", "its n_audio_layer is '1'"),
        ("n_audio_layer", -1, "its n_audio_layer is -1"),
        ("n_audio_head", 0, "its n_audio_head is 0"),
        ("n_text_head", 3, "is not divisible by 3 heads"),
        ("n_mels", 81, "its n_mels is 81, not 80 or 128"),
        ("more", 1, "not the ten of a Whisper model"),
    ],
)
def test_impossible_dimensions_are_refused(
    write: Callable[..., Path],
    name: str,
    value: object,
    reason: str,
    zipped: bool,  # noqa: FBT001 - a parameter
):
    """The error names the impossible dimension, and no memory is allocated for declared sizes."""
    path = write({name: value}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=rf"x\.pt is not a Whisper model that can run: .*{reason}.*fetch it again"):
        check_weights(path, "openai-pt")


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        (NORM, torch.zeros(4).to_sparse(), "a sparse tensor"),
        (NORM, torch.zeros(4, device="meta"), "a meta tensor"),
        (NORM, torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8), "a quantized tensor"),
        (NORM, torch.zeros(4, dtype=torch.complex64), "complex numbers"),
        (NORM, torch.zeros(4, dtype=torch.int64), "holds int64, not floating-point"),
        (NORM, torch.tensor([0, float("nan"), 0, 0]), "ln.bias' holds numbers that are not finite"),
        (NORM, torch.tensor([0, 0, 0, float("-inf")]).bfloat16(), "ln.bias' holds numbers that are not finite"),
        (NORM, torch.zeros(5), r"has the shape \(5,\), not \(4,\)"),
        (NORM, None, "lacks the tensor decoder.ln.bias"),
        (NORM, [1, 2], "is a list, not a tensor"),
        (7, torch.zeros(4), "has the name 7, which is not text"),
        ("decoder.more", torch.zeros(4), "'decoder.more', which Whisper does not have"),
        ("decoder.token_embedding.weight", torch.zeros(1).expand(51_864, 4), "declare .* numbers, but it stores"),
    ],
)
def test_unexpected_tensors_are_refused(write: Callable[..., Path], name: Any, tensor: Any, reason: str):
    """Tensors with another layout, type, name or shape are refused, and so are non-finite values."""
    with pytest.raises(WeightsError, match=reason):
        check_weights(write(changes={name: tensor}), "openai-pt")


@pytest.mark.parametrize(
    ("pickle", "reason"),
    [
        (b"\x80\x02}r\xff\xff\xff\x7f.", "no 'dims'"),
        (b"\x80\x02}(K\x01\x85K\x01u.", "a tuple for a key"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f1", "a pickle that is damaged"),
        (b"\x80\x02](" + b"N" * 600_000 + b"e.", "more than 500,000 steps"),
        (b"\x80\x02}" + b"N" * (5 << 20) + b".", "larger than 4 MiB"),
        (b"\x80\x02cos\nmkdir\n)R.", "the code os.mkdir; code in a checkpoint is never run"),
        (b"\x80\x02}", "damaged|does not end"),
        (b"\x80\x02.", "pops from an empty stack"),
    ],
)
def test_pickles_with_other_content_are_refused(tmp_path: Path, pickle: bytes, reason: str):
    """Pickles with code, damage or excessive size are refused, and their opcodes are not executed."""
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", pickle)
    with pytest.raises(WeightsError, match=reason):
        check_weights(tmp_path / "x.pt", "openai-pt")


def test_a_compressed_archive_is_refused(write: Callable[..., Path]):
    """A compressed archive is refused, because torch.save never compresses and 9 MB can become gigabytes."""
    path = write()
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(WeightsError, match="is compressed, which torch"):
        check_weights(path, "openai-pt")


CHECK = """
import resource, sys, numpy
from pathlib import Path
from asrlab.weights import check_weights
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + (256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for name in sys.argv[1:]:
    try:
        check_weights(Path(name), "openai-pt")
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux, to limit a process's memory")
def test_declared_sizes_allocate_no_memory(write: Callable[..., Path], tmp_path: Path):
    """Files that declare gigabytes are refused by a process that may allocate only 256 MiB."""
    huge_dimensions: list[dict[str, Any]] = [{"n_audio_layer": 10**7}, {"n_vocab": 10**9}, {"n_text_ctx": 10**9}]
    paths = [shutil.copy(write(dims), tmp_path / f"{number}.pt") for number, dims in enumerate(huge_dimensions)]
    huge = {"decoder.token_embedding.weight": torch.zeros(1).half().expand(10**9, 4)}
    paths.append(shutil.copy(write({"n_vocab": 10**9}, huge), tmp_path / "expanded.pt"))
    process = subprocess.run([sys.executable, "-c", CHECK, *paths], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["WeightsError"] * len(paths)


def test_any_flipped_bytes_give_only_a_weights_error(write: Callable[..., Path]):
    """Each of 150 mutations of the checkpoint is accepted or results in a WeightsError."""
    path = write()
    original, rng = path.read_bytes(), random.Random(14)  # noqa: S311 - not a secret
    with zipfile.ZipFile(path) as archive:
        info = next(info for info in archive.infolist() if info.filename.endswith("data.pkl"))
    regions = (
        range(info.header_offset, info.header_offset + info.file_size),
        range(len(original) - 6000, len(original)),
    )
    refused = 0
    for _ in range(150):
        raw = bytearray(original)
        for position in rng.choices(rng.choice(regions), k=rng.randint(1, 3)):
            raw[position] = rng.randrange(256)
        path.write_bytes(raw)
        try:
            check_weights(path, "openai-pt")
        except WeightsError:
            refused += 1
    assert refused > 50
