"""A place for MPS in the table of device guards of a torch that was built without it."""

from __future__ import annotations

import ctypes
from pathlib import Path

from asrlab.errors import DeviceUnavailableError

# c10::DeviceType, c10/core/DeviceType.h
_MPS, _META, _DEVICE_TYPES = 13, 14, 20
_REGISTRY = "_ZN3c104impl26device_guard_impl_registryE"


def install_guard() -> None:
    """Let the guard of meta tensors, which does nothing, stand in for the one that MPS lacks.

    Tensors may outlive the simulation and need it, so it stays for the life of the process.

    Raises:
        DeviceUnavailableError: This torch has no such table where Linux builds have it.

    Source: ``c10/core/impl/DeviceGuardImplInterface.h``.
    """
    import torch

    library = Path(torch.__file__).parent / "lib" / "libc10.so"
    try:
        registry = (ctypes.c_void_p * _DEVICE_TYPES).in_dll(ctypes.CDLL(str(library)), _REGISTRY)
    except (OSError, ValueError) as error:
        raise DeviceUnavailableError(
            f"the simulated MPS device needs the table of device guards in {library}, which cannot be read ({error}); "
            "use a Linux build of torch",
            device="mps",
        ) from error
    if not registry[_MPS]:
        registry[_MPS] = registry[_META]
