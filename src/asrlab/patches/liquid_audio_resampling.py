"""The import of liquid-audio with a torchaudio that does not import, and its resampling without torchaudio."""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from asrlab.patches.patch import CurrentDevice, Patch, PatchDecision

if TYPE_CHECKING:
    import torch

_TORCHAUDIO = "torchaudio"
_PACKAGE = "liquid_audio"
# liquid-audio imports transformers, which imports torchaudio if it is installed: transformers/audio_utils.py
_IMPORTING_PACKAGES = (_PACKAGE, "transformers")
_PROCESSOR = "liquid_audio.processor"
_TARGETS = (f"{_PROCESSOR}:torchaudio", "liquid_audio.data.mapper:torchaudio")
# torchaudio's defaults, so that the model receives the samples that it was trained on
_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99

liquid_audio_patch = partial(Patch, distribution="liquid-audio", versions=("1.2.0", "1.3.0"), module=_PACKAGE)
"""What all patches of liquid-audio share."""


class BrokenModule(ModuleType):
    """A module that does not import, and raises *error*, the error of its import, when it is used."""

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(name)
        self.error = error

    @property
    def reason(self) -> str:
        """The error in one line."""
        return f"{type(self.error).__name__}: {str(self.error).partition('\n')[0]}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspect and copy look for these
            raise AttributeError(f"{self.__name__} has no {name}")
        raise ImportError(f"{self.__name__}.{name}: torchaudio does not import ({self.reason})") from self.error


@contextmanager
def torchaudio_may_be_broken() -> Iterator[None]:
    """Give modules that liquid-audio imports in this block a `BrokenModule` if their import of torchaudio fails.

    If torchaudio imports, nothing changes. The `BrokenModule` is never in ``sys.modules``, so other packages do not
    use it.
    """
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """A finder for the modules that import torchaudio, if that fails, during the import of liquid-audio."""

    def __init__(self) -> None:
        self._torchaudio: ModuleType | None = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as the usual finders do, with another loader; return None to leave it to them."""
        if fullname == _PACKAGE:
            # discard the modules of a failed import, which a new package object would not have
            for name in [name for name in sys.modules if name.startswith(f"{_PACKAGE}.")]:
                del sys.modules[name]
        package, _, rest = fullname.partition(".")
        if package not in _IMPORTING_PACKAGES or not rest or _PACKAGE not in sys.modules:
            return None
        if self._torchaudio is None:
            try:
                self._torchaudio = import_module(_TORCHAUDIO)
            except Exception as error:  # noqa: BLE001 - a binary for another torch may raise anything
                self._torchaudio = BrokenModule(_TORCHAUDIO, error)
        if not isinstance(self._torchaudio, BrokenModule):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return spec
        if f"import {_TORCHAUDIO}".encode() in spec.loader.get_data(spec.loader.path):
            spec.loader = _Loader(fullname, spec.loader.path, self._torchaudio)
        return spec


class _Loader(SourceFileLoader):
    """A loader that replaces the statement ``import torchaudio`` in a module by a given object."""

    def __init__(self, fullname: str, path: str, torchaudio: BrokenModule) -> None:
        super().__init__(fullname, path)
        self._torchaudio = torchaudio

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source, without a cache on disk."""
        path = self.get_filename(fullname)
        tree = _ImportRemover().visit(ast.parse(self.get_data(path), path))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module with the name ``torchaudio`` already defined."""
        vars(module)[_TORCHAUDIO] = self._torchaudio
        super().exec_module(module)


class _ImportRemover(ast.NodeTransformer):
    """A transformer that removes ``import torchaudio`` from a module, but not from its functions."""

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        """Replace the statement by ``pass``."""
        is_torchaudio = [(alias.name, alias.asname) for alias in node.names] == [(_TORCHAUDIO, None)]
        return ast.copy_location(ast.Pass(), node) if is_torchaudio else node

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.stmt:
        """Return a function or class unchanged."""
        return node

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef  # noqa: N815 - the names of ast


def resample(waveform: torch.Tensor, orig_freq: int, new_freq: int) -> torch.Tensor:
    """Resample floating-point samples, shape (..., time), on their own device and in their own dtype.

    The filter is the filter of ``torchaudio.functional.resample`` with its defaults, computed in float64.

    Raises:
        ValueError: If a rate is not a positive whole number.
        TypeError: If the waveform is not floating point.
    """
    from torch.nn import functional

    if not all(rate > 0 and int(rate) == rate for rate in (orig_freq, new_freq)):
        raise ValueError(f"sample rates must be positive whole numbers, not {orig_freq} and {new_freq}")
    if orig_freq == new_freq:
        return waveform
    if not waveform.is_floating_point():
        raise TypeError(f"the waveform must be floating point, not {waveform.dtype}")
    divisor = math.gcd(int(orig_freq), int(new_freq))
    step, phases = int(orig_freq) // divisor, int(new_freq) // divisor
    kernel, reach = _kernel(step, phases)
    channels = waveform.reshape(-1, 1, waveform.shape[-1])
    padded = functional.pad(channels, (reach, reach + step))
    # step samples in, one sample of each phase out
    frames = functional.conv1d(padded, kernel.to(waveform), stride=step)
    length = -(-waveform.shape[-1] * phases // step)
    resampled = frames.transpose(1, 2).reshape(len(channels), -1)[:, :length]
    return resampled.reshape(*waveform.shape[:-1], length)


def _kernel(step: int, phases: int) -> tuple[torch.Tensor, int]:
    """Return a filter for each phase, float64, shape (phases, 1, taps), and the samples it reaches to each side."""
    import torch

    cutoff = _ROLLOFF * min(step, phases)
    reach = math.ceil(_ZERO_CROSSINGS * step / cutoff)
    inputs = torch.arange(-reach, reach + step, dtype=torch.float64) / step
    outputs = torch.arange(phases, dtype=torch.float64)[:, None, None] / phases
    times = ((inputs - outputs) * cutoff).clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(times * math.pi / (2 * _ZERO_CROSSINGS)) ** 2
    return torch.sinc(times) * window * (cutoff / step), reach


def _check(originals: tuple[Any, ...], _device: str) -> PatchDecision:
    if originals[0] is None:
        return PatchDecision("retired", f"upstream's {_PROCESSOR} no longer imports torchaudio")
    broken = next((original for original in originals if isinstance(original, BrokenModule)), None)
    if broken is None:
        return PatchDecision("not-needed", "torchaudio imports")
    return PatchDecision("needed", f"torchaudio does not import ({broken.reason})")


def _with_resample(torchaudio: ModuleType, _device: CurrentDevice) -> ModuleType:
    """Return a torchaudio with ``functional.resample``, whose other attributes raise the error of its import."""
    if not isinstance(torchaudio, BrokenModule):
        return torchaudio
    functional = BrokenModule(f"{torchaudio.__name__}.functional", torchaudio.error)
    replacement = BrokenModule(torchaudio.__name__, torchaudio.error)
    vars(functional)["resample"] = resample
    vars(replacement)["functional"] = functional
    return replacement


def _verify(_device: str) -> None:
    """Resample a constant as liquid-audio's processor does, on the CPU, and raise if the result is wrong."""
    import torch

    halved = import_module(_PROCESSOR).torchaudio.functional.resample(torch.ones(1, 96), 32_000, 16_000)
    if halved.shape != (1, 48) or not torch.allclose(halved[:, 8:-8], torch.ones(1, 32), atol=0.01):
        raise RuntimeError("a constant is not resampled to itself")


RESAMPLING = liquid_audio_patch(
    name="liquid-audio-resampling",
    devices=("cpu", "mps", "cuda"),
    reason="liquid_audio imports torchaudio, only for functional.resample; it does not import with a torch that "
    "torchaudio's library was not built for ('undefined symbol'), which no installer prevents",
    issue_url="https://github.com/Liquid4All/liquid-audio/blob/main/src/liquid_audio/processor.py",
    obsolete_when="when liquid_audio.processor no longer imports torchaudio",
    changes=dict.fromkeys(_TARGETS, _with_resample),
    check=_check,
    verify=_verify,
    import_context=torchaudio_may_be_broken,
)
