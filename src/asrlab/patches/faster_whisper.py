"""The patch of faster-whisper for a PyAV that no longer accepts ``metadata_errors``."""

from __future__ import annotations

import io
from types import FunctionType, ModuleType
from typing import Any

from asrlab.patches.patch import CurrentDevice, Patch, PatchDecision
from asrlab.upstream import import_upstream

_ARGUMENT = "metadata_errors"
_DECODE, _AV = "faster_whisper.audio:decode_audio", "faster_whisper.audio:av"


def _check(originals: tuple[Any, ...], _device: str) -> PatchDecision:
    decode, av = originals
    constants = decode.__code__.co_consts if decode else ()
    if not any(value == _ARGUMENT or (isinstance(value, tuple) and _ARGUMENT in value) for value in constants):
        return PatchDecision("retired", f"upstream no longer passes {_ARGUMENT} to av.open")
    if not _refuses(av):
        return PatchDecision("not-needed", f"PyAV {av.__version__} accepts {_ARGUMENT}")
    return PatchDecision("needed", f"upstream passes {_ARGUMENT}, which PyAV {av.__version__} does not accept")


def _refuses(av: Any) -> bool:
    """Return whether ``av.open`` refuses the argument, for an empty file that cannot be opened in any case."""
    try:
        av.open(io.BytesIO(), mode="r", **{_ARGUMENT: "ignore"})
    except TypeError as error:
        return _ARGUMENT in str(error)
    except (OSError, ValueError):  # av.error.InvalidDataError is a ValueError
        return False
    return False


def _keep(function: FunctionType, _device: CurrentDevice) -> FunctionType:
    """Return ``decode_audio`` unchanged: `_check` reads it, and the module that it calls is replaced."""
    return function


class _TolerantAv(ModuleType):
    """PyAV as ``faster_whisper.audio`` uses it; all other code keeps the original."""

    def __init__(self, av: ModuleType, _device: CurrentDevice) -> None:
        super().__init__(av.__name__, av.__doc__)
        self._av = av

    def __getattr__(self, name: str) -> Any:
        return getattr(self._av, name)

    def open(self, *arguments: Any, **named: Any) -> Any:
        """Open a file without the argument; a PyAV without it ignores metadata errors."""
        named.pop(_ARGUMENT, None)
        return self._av.open(*arguments, **named)


def _verify(_device: str) -> None:
    """Raise if the module still passes the argument to ``av.open``."""
    if _refuses(import_upstream("faster_whisper.audio").av):
        raise RuntimeError("faster_whisper.audio still passes the argument on")


PYAV_METADATA_ERRORS = Patch(
    name="faster-whisper-pyav-metadata-errors",
    distribution="faster-whisper",
    versions=("1.2.1",),
    devices=("cpu", "cuda", "mps"),
    reason="faster-whisper opens files with an argument that PyAV 19 removed: no file can be decoded "
    "(unexpected keyword argument 'metadata_errors')",
    issue_url="https://github.com/SYSTRAN/faster-whisper/blob/v1.2.1/faster_whisper/audio.py",
    obsolete_when="when decode_audio no longer passes metadata_errors",
    module="faster_whisper",
    changes={_DECODE: _keep, _AV: _TolerantAv},
    check=_check,
    verify=_verify,
    direct_use=True,
)

PATCHES = (PYAV_METADATA_ERRORS,)
