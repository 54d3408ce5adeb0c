"""A toy package to patch, and checks that each test restored the real packages."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import asrlab
from asrlab.patches import PatchScope, PatchSelection, apply_patches

TOY = """
class Base:
    def device(self):
        return "cuda"


class Model(Base):
    @property
    def speech(self):
        return "cuda"

    @classmethod
    def load(cls, device="cuda"):
        return cls.__name__, device


def align(times):
    return ["cuda", *times]
"""

OWNERS = (
    ("torch.nn", "Module"),
    ("torch", "Tensor"),
    ("liquid_audio.processor", ""),
    ("liquid_audio.processor", "LFM2AudioProcessor"),
    ("liquid_audio.data.mapper", ""),
    ("liquid_audio.model.lfm2_audio", "LFM2AudioModel"),
    ("liquid_audio.model.lfm2_audio", ""),
    ("whisper.model", "Whisper"),
    ("whisper.timing", ""),
    ("faster_whisper.audio", ""),
)


def _namespaces() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the namespaces that patches change, and those of torch, as far as they are imported."""
    namespaces = {}
    for module, owner in OWNERS:
        if module in sys.modules:
            space = sys.modules[module]
            namespaces[module, owner] = dict(vars(getattr(space, owner) if owner else space))
    return namespaces


@pytest.fixture(autouse=True)
def assert_restored() -> Iterator[None]:
    """Assert after each test that packages, torch and the environment have their former objects."""
    environment, before = _variables(), _namespaces()
    yield
    after = _namespaces()
    for owner, names in before.items():
        changed = [name for name in names | after[owner] if names.get(name, ...) is not after[owner].get(name, ...)]
        assert changed == [], owner
    assert _variables() == environment


def _variables() -> dict[str, str]:
    """Return the environment without the variables that pytest and torch's OpenMP write."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "KMP_"))}


@attrs.frozen
class Toy:
    """An installed package that uses cuda.

    Attributes:
        module: The package.
    """

    module: Any

    def patch(self, **fields: Any) -> asrlab.patches.Patch:
        """Return a patch of ``toy_speech:align``, with other *fields*."""
        given = {
            "name": "toy-align",
            "distribution": "toy-speech",
            "versions": ("1.0",),
            "devices": ("cpu", "mps"),
            "reason": "it goes to cuda",
            "issue_url": "https://example.org/1",
            "obsolete_when": "when it does not",
            "module": "toy_speech",
            "changes": {"toy_speech:align": _append("patched")},
            "check": lambda _originals, device: asrlab.patches.PatchDecision(status="needed", reason=f"not {device}"),
        }
        return asrlab.patches.Patch(**given | fields)

    def apply(
        self, *patches: asrlab.patches.Patch, device: str = "cpu", chosen: Any = "auto", direct: bool = True
    ) -> Any:
        """Apply *patches* and return their scope."""
        return apply_patches(patches, device, selection=PatchSelection.parse(chosen, patches), direct=direct)


def _append(word: str) -> Callable[..., Any]:
    return lambda function, _device: lambda *arguments: [*function(*arguments), word]


@pytest.fixture
def append() -> Callable[[str], Callable[..., Any]]:
    """Return a function that builds a change that appends a word to a function's result."""
    return _append


@pytest.fixture
def toy(tmp_path: Path, write_distribution: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    """Install the distribution ``toy-speech`` 1.0 in a temporary folder."""
    monkeypatch.syspath_prepend(write_distribution(tmp_path / "toy", "toy-speech", source=TOY, plugins=()))
    module = importlib.import_module("toy_speech")
    before = dict(vars(module))
    yield Toy(module)
    changed = [name for name, value in vars(module).items() if before.get(name) is not value]
    sys.modules.pop("toy_speech", None)
    assert changed == []


@pytest.fixture
def statuses() -> Callable[[PatchScope], Mapping[str, str]]:
    """Return a function that maps the names of a scope's patches to their statuses."""
    return lambda scope: {status.name: status.status for status in scope.report}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny LFM2.5-Audio checkpoint that recognizes "speak_now" in any audio."""
    pytest.importorskip("liquid_audio", reason="liquid-audio is not installed", exc_type=ImportError)
    from asrlab.testing.tiny_lfm2_audio import write_tiny_lfm2_audio

    return write_tiny_lfm2_audio(tmp_path_factory.mktemp("tiny"), says="speak_now")
