"""The patches of openai-whisper, against the real package on a simulated MPS device: without, with, after, repaired."""

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
    torch.backends.mps.is_built(), reason="this torch has MPS itself, where nothing is simulated"
)

# Its own process, since simulating a device changes torch.
PROGRAM = """
import json, sys
import torch, asrlab
from asrlab.testing import simulated_mps
from whisper import timing
from whisper.model import ModelDimensions, Whisper

told = {}


def attempt(function):
    try:
        return function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def move():
    model = Whisper(ModelDimensions(1, 1, 4, 1, 0, 1, 1, 4, 1, 2))
    heads = model.alignment_heads
    model.to("mps")
    kept = model.alignment_heads is heads and "alignment_heads" not in model.state_dict()
    return [str(model.device), str(model.alignment_heads.device), model.alignment_heads.is_sparse, kept]


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
            "patches": {each.name: each.status for each in transcript.patches},
        }


def without_alignment():
    with load("mps", patches="openai-whisper-alignment-heads") as transcriber:
        return [transcriber.info.capabilities.word_timestamps, [each.status for each in transcriber.patch_report]]


dtw, apply = timing.dtw, torch.nn.Module._apply
torch_before = dict(vars(torch.nn.Module)), dict(vars(torch.Tensor))
with simulated_mps(sparse=False):
    in_simulation = dict(vars(torch.nn.Module)), dict(vars(torch.Tensor))
    told["before"] = attempt(move), attempt(align)
    with asrlab.patches.patched("openai-whisper", device="mps") as scope:
        told["statuses"] = {each.name: each.status for each in scope.report}
        told["reasons"] = [each.reason for each in scope.report]
        told["with"] = attempt(move), attempt(align)
        told["torch"] = in_simulation == (dict(vars(torch.nn.Module)), dict(vars(torch.Tensor)))
    told["after"] = attempt(move), attempt(align)
    told["same"] = timing.dtw is dtw, "_apply" not in vars(Whisper), torch.nn.Module._apply is apply
    told["mps"] = transcribe("mps")
    told["without alignment"] = without_alignment()
    told["off"] = attempt(lambda: load("mps", patches="off"))
    told["same in the end"] = timing.dtw is dtw, "_apply" not in vars(Whisper)
with simulated_mps(sparse=True):
    with asrlab.patches.patched("openai-whisper", device="mps") as scope:
        told["sparse"] = scope.status("openai-whisper-alignment-heads"), attempt(move)
told["cpu"] = transcribe("cpu")
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(weights_cache: Path, clips: tuple[Path, ...]) -> Any:
    """What that program tells of the steps it took."""
    # numba would compile for longer than it computes here
    variables = {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1", "ASRLAB_OFFLINE": "1"}
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("ASRLAB_", "PYTORCH_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(clips[1])],
        capture_output=True,
        text=True,
        env=mine | variables | {"ASRLAB_CACHE": str(weights_cache)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


NO_SPARSE = (
    "NotImplementedError: Could not run 'aten::_sparse_coo_tensor_with_dims_and_tensors' with arguments from the"
)
NO_FLOAT64 = "TypeError: Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."


@simulation_only
def test_without_the_patches_mps_refuses_the_model_and_the_alignment(told: Any):
    """With a torch whose MPS has no sparse tensors the model cannot move, and float64 is refused on the device."""
    for model, alignment in (told["before"], told["after"]):
        assert model.startswith(f"{NO_SPARSE} 'SparseMPS' backend")
        assert alignment.startswith(NO_FLOAT64)


@simulation_only
def test_with_the_patches_the_model_moves_and_words_are_aligned(told: Any):
    """The heads stay on the CPU as the sparse buffer they were, out of the state dict; the alignment is the CPU's."""
    assert told["statuses"] == {HEADS: "applied", FLOAT64: "applied"}
    assert "Could not run 'aten::_sparse_coo_tensor_with_dims_and_tensors'" in told["reasons"][0]
    model, (on_mps, on_cpu) = told["with"]
    assert model == ["mps:0", "cpu", True, True]
    assert on_mps == on_cpu == [[0, 1, 1], [0, 1, 2]]


@simulation_only
def test_afterwards_whisper_is_as_it_was_and_torch_was_never_changed(told: Any):
    """The alignment is the very same function, ``_apply`` is inherited again, and torch's classes were left alone."""
    assert told["same"] == [True, True, True]
    assert told["same in the end"] == [True, True]
    assert told["torch"] is True


@simulation_only
def test_with_sparse_tensors_the_heads_move_along(told: Any):
    """Where torch has sparse tensors on MPS, as from 2.9 on, their patch is not needed."""
    assert told["sparse"] == ["not-needed", ["mps:0", "mps:0", True, False]]


@simulation_only
def test_a_transcriber_on_mps_hears_and_times_what_the_cpu_does(told: Any):
    """Real weights, real speech: text and words are the CPU's, and the transcript names the patches."""
    assert told["mps"]["text"] == told["cpu"]["text"] == "He was not an ill-disposed young man."
    assert told["mps"]["words"] == told["cpu"]["words"]
    assert told["mps"]["patches"] == {HEADS: "applied", FLOAT64: "applied"}
    assert told["cpu"]["patches"] == {HEADS: "not-needed", FLOAT64: "not-needed"}


@simulation_only
def test_a_transcriber_without_its_patches_says_what_it_cannot_do(told: Any):
    """Without the alignment's patch there are no word timestamps; without any, the model does not load."""
    assert told["without alignment"] == [False, ["applied", "skipped"]]
    assert told["off"].startswith("EngineUnavailableError")
    assert NO_SPARSE in told["off"]


def test_the_heads_patch_retires_when_they_are_sparse_no_more(monkeypatch: pytest.MonkeyPatch):
    """A model whose heads are a dense buffer moves by itself: nothing is changed."""

    class Repaired(whisper_model.Whisper):
        def __init__(self, dims: Any) -> None:
            super().__init__(dims)
            self.register_buffer("alignment_heads", self.alignment_heads.to_dense(), persistent=False)

    with monkeypatch.context() as patch:
        patch.setattr(whisper_model, "Whisper", Repaired)
        with patched("openai-whisper", device="mps", patches=HEADS) as scope:
            assert scope.status(HEADS) == "retired"
            assert "_apply" not in vars(Repaired)


@pytest.mark.parametrize("case", ["cpu-first", "no-double", "gone"])
def test_the_alignments_patch_retires_when_dtw_is_repaired(monkeypatch: pytest.MonkeyPatch, case: str):
    """Moving first, as upstream's pull request has it, or without float64, or no ``dtw`` at all: nothing is changed."""
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


def test_on_the_cpu_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    """Both are for MPS alone: on the CPU they are not needed, whatever upstream's objects are."""
    with monkeypatch.context() as patch:
        patch.setattr(timing, "dtw", None)
        with patched("openai-whisper", device="cpu") as scope:
            assert [each.status for each in scope.report] == ["not-needed", "not-needed"]
            assert scope.report[0].reason == "only mps can need it, not cpu"


@simulation_only
def test_where_there_is_no_mps_the_patch_that_must_try_it_fails(monkeypatch: pytest.MonkeyPatch):
    """The failure is torch's own word, and the user's random numbers are not drawn from."""
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
