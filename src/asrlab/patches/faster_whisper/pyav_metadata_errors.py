"""Opening of audio files, with a PyAV that no longer takes ``metadata_errors``."""

from __future__ import annotations

import io
from types import FunctionType, ModuleType
from typing import Any

from asrlab.patches.patch import DeviceNow, Patch, PatchDecision

_ARGUMENT = "metadata_errors"
_DECODE, _AV = "faster_whisper.audio:decode_audio", "faster_whisper.audio:av"


def _needed(originals: tuple[Any, ...], _device: str) -> PatchDecision:
    decode, av = originals
    if decode is None or not _names(decode):
        return PatchDecision(status="retired", reason=f"upstream no longer passes {_ARGUMENT} to av.open")
    if not _refuses(av):
        return PatchDecision(status="not-needed", reason=f"PyAV {av.__version__} takes {_ARGUMENT}")
    return PatchDecision(
        status="needed", reason=f"upstream passes {_ARGUMENT}, which PyAV {av.__version__} does not take"
    )


def _names(function: FunctionType) -> bool:
    constants = function.__code__.co_consts
    return any(each == _ARGUMENT or (isinstance(each, tuple) and _ARGUMENT in each) for each in constants)


def _refuses(av: Any) -> bool:
    """Whether ``av.open`` refuses the argument; nothing is opened, since there is nothing in the file."""
    try:
        av.open(io.BytesIO(), mode="r", **{_ARGUMENT: "ignore"})
    except TypeError as error:
        return _ARGUMENT in str(error)
    except (OSError, ValueError):  # av.error.InvalidDataError is a ValueError
        return False
    return False


def _same(function: FunctionType, _device: DeviceNow) -> FunctionType:
    """``decode_audio`` itself stays; it is looked at, and changed through the module it calls."""
    return function


class _TolerantAv(ModuleType):
    """PyAV as ``faster_whisper.audio`` sees it; everybody else's stays as it is."""

    def __init__(self, av: ModuleType) -> None:
        super().__init__(av.__name__, av.__doc__)
        self._av = av

    def __getattr__(self, name: str) -> Any:
        return getattr(self._av, name)

    def open(self, *arguments: Any, **named: Any) -> Any:
        """``av.open`` without the argument; PyAV reads metadata leniently since it dropped it."""
        named.pop(_ARGUMENT, None)
        return self._av.open(*arguments, **named)


def _tolerant(av: ModuleType, _device: DeviceNow) -> ModuleType:
    return _TolerantAv(av)


def _verify(_device: str) -> None:
    """The module opens with the argument as if it were not there."""
    from faster_whisper import audio

    if _refuses(audio.av):
        raise RuntimeError("faster_whisper.audio still passes the argument on")


PYAV_METADATA_ERRORS = Patch(
    name="faster-whisper-pyav-metadata-errors",
    distribution="faster-whisper",
    versions=("1.2.1",),
    devices=("cpu", "cuda", "mps"),
    reason="faster-whisper opens files with an argument that PyAV 19 removed: no file can be decoded "
    "(unexpected keyword argument 'metadata_errors')",
    link="https://github.com/SYSTRAN/faster-whisper/blob/v1.2.1/faster_whisper/audio.py",
    retires="when decode_audio no longer passes metadata_errors",
    module="faster_whisper",
    changes={_DECODE: _same, _AV: _tolerant},
    needed=_needed,
    verify=_verify,
    direct_use=True,
)
