"""The machine that this process runs on: its processor, the cores it may use, and its accelerators."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["accelerator_name", "platform_name", "processor_name", "usable_cores"]

_LONGEST_NAME = 256


def usable_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def platform_name() -> str:
    """The system and the architecture, such as ``Linux x86_64``; without versions, which updates change."""
    return f"{platform.system()} {platform.machine()}"


def processor_name() -> str:
    """Its model's name; empty where the system does not tell."""
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ""


def accelerator_name(device: str) -> str:
    """The model's name of ``cuda:N``, as the driver tells it; empty for other devices and where it does not.

    The driver is asked, not an engine: engines differ in whether they can tell, and the numbers are the same.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return ""
    with suppress(OSError, AttributeError, ValueError):  # no driver, or one without these functions
        return _cuda_name(ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"), int(number or 0))
    return ""


def _cuda_name(driver: ctypes.CDLL, number: int) -> str:
    """Source: CUDA driver API, ``cuInit``, ``cuDeviceGet`` and ``cuDeviceGetName``; each gives 0 if all is well."""
    handle, name = ctypes.c_int(), ctypes.create_string_buffer(_LONGEST_NAME)
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(handle), number):
        return ""
    if driver.cuDeviceGetName(name, _LONGEST_NAME, handle):
        return ""
    return name.value.decode(errors="replace")
