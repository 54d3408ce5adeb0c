"""Lack of memory is recognized by errors of engines, the memory of a process, and the kernel's count."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from asrlab.errors import AudioError
from asrlab.evaluation.runs import worker_process as memory
from asrlab.evaluation.runs.worker import is_out_of_memory
from asrlab.evaluation.runs.worker_process import kernel_oom_kills, process_resident_bytes

if TYPE_CHECKING:
    from pathlib import Path


def _raised_from(cause: Exception) -> Exception:
    error = RuntimeError("it failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("CUDA failed with error out of memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (_raised_from(MemoryError()), True),
        (FileNotFoundError(2, "No such file", "out of memory.wav"), False),
        (RuntimeError("memory is fine"), False),
    ],
    ids=["cuda", "mps", "ctranslate2", "bad-alloc", "torch-cpu", "enomem", "cause", "file-name", "other"],
)
def test_errors_of_engines_about_memory_are_recognized(error: Exception, expected: object):
    """Errors of engines about memory are recognized, and names of files are not mistaken for them."""
    assert is_out_of_memory(error) is expected


def test_an_error_of_the_audio_is_never_lack_of_memory():
    """A damaged header may ask for any amount of memory, so that a retry would not help."""
    error = AudioError("a.wav cannot be read")
    error.__cause__ = MemoryError()
    assert not is_out_of_memory(error)


def test_the_memory_of_another_process_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A process's memory is read from /proc, or from ps if there is none; a dead process has none."""
    by_kernel = process_resident_bytes(os.getpid())
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    by_ps = process_resident_bytes(os.getpid())
    assert by_kernel is not None
    assert by_ps == pytest.approx(by_kernel, rel=0.1)
    assert process_resident_bytes(2**30) is None


def test_the_kernels_count_is_of_the_control_group_before_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The count of the process's own group comes first, then a container's, then the machine's, then None."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    monkeypatch.setattr(memory, "_PROC", proc)
    monkeypatch.setattr(memory, "_CGROUPS", groups)
    assert kernel_oom_kills() is None
    (proc / "self").mkdir(parents=True)
    (groups / "user" / "mine").mkdir(parents=True)
    (proc / "vmstat").write_text("pgfault 9\noom_kill 1\nswap_ra 0\n")
    assert kernel_oom_kills() == 1
    (groups / "memory.events").write_text("low 0\noom 5\noom_kill 2\noom_group_kill 0\n")
    assert kernel_oom_kills() == 2
    (proc / "self" / "cgroup").write_text("1:cpu:/\n0::/user/mine\n")
    assert kernel_oom_kills() == 2
    (groups / "user" / "mine" / "memory.events").write_text("oom_kill 3\n")
    assert kernel_oom_kills() == 3
