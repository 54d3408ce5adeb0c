"""The patches of openai-whisper, with the real package on a simulated MPS device."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import asrlab
from asrlab.patches.direct import patched

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("whisper", reason="openai-whisper is not installed")
whisper_model, timing = sys.modules["whisper.model"], sys.modules["whisper.timing"]

HEADS = "openai-whisper-alignment-heads"
FLOAT64 = "openai-whisper-float64-alignment"

simulation_only = pytest.mark.skipif(
    torch.backends.mps.is_built(), reason="this torch has MPS, which cannot be simulated"
)

# A separate process, because the simulation of a device changes torch.
PROGRAM = """
import json, sys
import torch, asrlab
from asrlab.testing import simulated_mps
from whisper import timing
from whisper.model import ModelDimensions, Whisper

steps = {}


def attempt(function):
    try:
        return function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def move():
    model = Whisper(ModelDimensions(1, 1, 4, 1, 0, 1, 1, 4, 1, 2))
    heads = model.alignment_heads
    model.to("mps")
    is_kept = model.alignment_heads is heads and "alignment_heads" not in model.state_dict()
    return [str(model.device), str(model.alignment_heads.device), model.alignment_heads.is_sparse, is_kept]


def align():
    matrix = torch.tensor([[0.0, 1.0, 5.0], [9.0, 0.5, 0.0]])
    return timing.dtw(matrix.to("mps")).tolist(), timing.dtw(matrix).tolist()


def words(transcript):
    return [[word.text, word.start, word.end] for word in transcript.words]


def load(device, **options):
    return asrlab.load("openai-whisper/base", device=device, **options)


def transcribe(device):
    with load(device) as transcriber:
        transcript = transcriber.transcribe(
            sys.argv[1], language="en", beam_size=1, temperature=(0.0,), word_timestamps=True
        )
        assert transcript.patches == transcriber.patch_report
        return {
            "text": transcript.text,
            "words": words(transcript),
            "patches": {status.name: status.status for status in transcript.patches},
        }


def without_alignment():
    with load("mps", patches="openai-whisper-alignment-heads") as transcriber:
        return [transcriber.info.capabilities.word_timestamps, [status.status for status in transcriber.patch_report]]


dtw, apply = timing.dtw, torch.nn.Module._apply
torch_before = dict(vars(torch.nn.Module)), dict(vars(torch.Tensor))
with simulated_mps(sparse=False):
    in_simulation = dict(vars(torch.nn.Module)), dict(vars(torch.Tensor))
    steps["before"] = attempt(move), attempt(align)
    with asrlab.patches.patched("openai-whisper", device="mps") as scope:
        steps["statuses"] = {status.name: status.status for status in scope.report}
        steps["reasons"] = [status.reason for status in scope.report]
        steps["with"] = attempt(move), attempt(align)
        steps["torch"] = in_simulation == (dict(vars(torch.nn.Module)), dict(vars(torch.Tensor)))
    steps["after"] = attempt(move), attempt(align)
    steps["same"] = timing.dtw is dtw, "_apply" not in vars(Whisper), torch.nn.Module._apply is apply
    steps["mps"] = transcribe("mps")
    steps["without alignment"] = without_alignment()
    steps["off"] = attempt(lambda: load("mps", patches="off"))
    steps["same in the end"] = timing.dtw is dtw, "_apply" not in vars(Whisper)
with simulated_mps(sparse=True):
    with asrlab.patches.patched("openai-whisper", device="mps") as scope:
        steps["sparse"] = scope.status("openai-whisper-alignment-heads"), attempt(move)
steps["cpu"] = transcribe("cpu")
print(json.dumps(steps))
"""


@pytest.fixture(scope="module")
def steps(weights_cache: Path, clips: tuple[Path, ...]) -> Any:
    """Return the results of the program's steps."""
    # numba would compile for longer than it computes here
    variables = {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1", "ASRLAB_OFFLINE": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ASRLAB_", "PYTORCH_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(clips[1])],
        capture_output=True,
        text=True,
        env=inherited | variables | {"ASRLAB_CACHE": str(weights_cache)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


NO_SPARSE = (
    "NotImplementedError: Could not run 'aten::_sparse_coo_tensor_with_dims_and_tensors' with arguments from the"
)
NO_FLOAT64 = "TypeError: Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."


@simulation_only
def test_mps_fails_without_the_patches(steps: Any):
    """Without the patches the model cannot move to an MPS without sparse tensors, and float64 is refused."""
    for model, alignment in (steps["before"], steps["after"]):
        assert model.startswith(f"{NO_SPARSE} 'SparseMPS' backend")
        assert alignment.startswith(NO_FLOAT64)


@simulation_only
def test_mps_works_with_the_patches(steps: Any):
    """The heads stay a sparse buffer on the CPU, outside of the state dict, and the alignment is the CPU's."""
    assert steps["statuses"] == {HEADS: "applied", FLOAT64: "applied"}
    assert "Could not run 'aten::_sparse_coo_tensor_with_dims_and_tensors'" in steps["reasons"][0]
    model, (on_mps, on_cpu) = steps["with"]
    assert model == ["mps:0", "cpu", True, True]
    assert on_mps == on_cpu == [[0, 1, 1], [0, 1, 2]]


@simulation_only
def test_whisper_is_restored_and_torch_never_changed(steps: Any):
    """Afterwards ``dtw`` is the same function, ``_apply`` is inherited, and torch's classes are unchanged."""
    assert steps["same"] == [True, True, True]
    assert steps["same in the end"] == [True, True]
    assert steps["torch"] is True


@simulation_only
def test_the_heads_move_to_an_mps_with_sparse_tensors(steps: Any):
    """The patch of the heads is not needed if torch has sparse tensors on MPS, as from 2.9 on."""
    assert steps["sparse"] == ["not-needed", ["mps:0", "mps:0", True, False]]


@simulation_only
def test_a_transcript_on_mps_equals_that_on_the_cpu(steps: Any):
    """Text and word times of real speech on MPS are those on the CPU, and the transcript reports the patches."""
    assert steps["mps"]["text"] == steps["cpu"]["text"] == "He was not an ill-disposed young man."
    assert steps["mps"]["words"] == steps["cpu"]["words"]
    assert steps["mps"]["patches"] == {HEADS: "applied", FLOAT64: "applied"}
    assert steps["cpu"]["patches"] == {HEADS: "not-needed", FLOAT64: "not-needed"}


@simulation_only
def test_a_transcriber_without_patches_has_fewer_capabilities(steps: Any):
    """Without the patch of the alignment there are no word timestamps; without any patch the model does not load."""
    assert steps["without alignment"] == [False, ["applied", "skipped"]]
    assert steps["off"].startswith("EngineUnavailableError")
    assert NO_SPARSE in steps["off"]


def test_the_heads_patch_is_retired_if_the_buffer_is_dense(monkeypatch: pytest.MonkeyPatch):
    """A model with a dense buffer of heads is not changed."""

    class FixedModel(whisper_model.Whisper):
        def __init__(self, dims: Any) -> None:
            super().__init__(dims)
            self.register_buffer("alignment_heads", self.alignment_heads.to_dense(), persistent=False)

    with monkeypatch.context() as patch:
        patch.setattr(whisper_model, "Whisper", FixedModel)
        with patched("openai-whisper", device="mps", patches=HEADS) as scope:
            assert scope.status(HEADS) == "retired"
            assert "_apply" not in vars(FixedModel)


@pytest.mark.parametrize("case", ["cpu-first", "no-double", "removed"])
def test_the_alignment_patch_is_retired_if_dtw_is_fixed(monkeypatch: pytest.MonkeyPatch, case: str):
    """A ``dtw`` that moves to the CPU first, or does not use float64, or does not exist, is not changed."""
    source = inspect.getsource(timing.dtw)
    assert "x.double().cpu().numpy()" in source
    new = {"cpu-first": "x.cpu().double().numpy()", "no-double": "x.cpu().numpy().astype(float)"}.get(case, "")
    names = dict(vars(timing))
    exec(source.replace("x.double().cpu().numpy()", new or "x"), names)  # noqa: S102 - upstream's own code
    with monkeypatch.context() as patch:
        if new:
            patch.setattr(timing, "dtw", names["dtw"])
        else:
            patch.delattr(timing, "dtw")
        with patched("openai-whisper", device="mps", patches=FLOAT64) as scope:
            assert scope.status(FLOAT64) == "retired"
            assert vars(timing).get("dtw") is (names["dtw"] if new else None)


def test_the_patches_are_not_checked_on_the_cpu(monkeypatch: pytest.MonkeyPatch):
    """Both patches are only for MPS: on the CPU they are not needed, and upstream's objects are not read."""
    with monkeypatch.context() as patch:
        patch.setattr(timing, "dtw", None)
        with patched("openai-whisper", device="cpu") as scope:
            assert [status.status for status in scope.report] == ["not-needed", "not-needed"]
            assert scope.report[0].reason == "only mps can need it, not cpu"


@simulation_only
def test_the_heads_patch_fails_without_mps(monkeypatch: pytest.MonkeyPatch):
    """The reason of the failure is torch's message, and no random numbers are drawn."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with patched("openai-whisper", device="mps") as scope:
        assert scope.status(HEADS) == "failed"
        assert "mps" in scope.report[0].reason.lower()
        assert scope.status(FLOAT64) == "applied"
    assert torch.equal(torch.rand(3), expected)
    with pytest.raises(asrlab.PatchError, match=HEADS):
        patched("openai-whisper", device="mps", patches=HEADS).__enter__()
