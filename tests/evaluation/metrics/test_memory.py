"""Resident memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from asrlab.evaluation.metrics import peak_resident_bytes, resident_bytes

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status, which only Linux has")
MIB = 1 << 20


def run(program: str) -> list[int]:
    """The numbers that *program* prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return [int(word) for word in done.stdout.split()]


@linux
def test_peak_stays_and_current_falls():
    """After 200 MiB were used and freed, the peak still includes them and the current figure does not."""
    before, during, after, peak = run(
        "from asrlab.evaluation.metrics import peak_resident_bytes as p, resident_bytes as r\n"
        "before = r()\n"
        "block = b'x' * (200 << 20)\n"
        "during = r()\n"
        "del block\n"
        "print(before, during, r(), p())"
    )

    assert during - before == pytest.approx(200 * MIB, rel=0.01)  # tells 1024 from 1000
    assert after < during - 150 * MIB
    assert peak >= during - MIB


@linux
def test_peak_of_a_program_is_its_own_and_not_its_parents():
    """A program started by a large process reports its own peak; ``ru_maxrss`` would report the parent's."""
    child = (
        "import resource; from asrlab.evaluation.metrics import peak_resident_bytes as p;"
        "print(p(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    own, by_getrusage = run(
        f"import os, sys\nblock = b'x' * (300 << 20)\nos.execv(sys.executable, [sys.executable, '-c', {child!r}])"
    )

    assert own < 150 * MIB
    assert by_getrusage > 300 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no figure")
def test_peak_is_at_least_a_running_interpreter():
    """The peak of this process is in bytes: more than 5 MiB, less than a terabyte, and at least what is resident."""
    peak = peak_resident_bytes()

    assert peak is not None
    assert 5 * MIB < peak < 1 << 40
    assert (resident_bytes() or 0) <= peak + MIB
