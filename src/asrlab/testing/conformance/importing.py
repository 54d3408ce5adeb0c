"""What importing a plugin and listing its models does, watched in a fresh process."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Any

import attrs

from asrlab.evaluation.datasets import DatasetSpec
from asrlab.patches import Patch
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry

__all__ = ["Seen", "watch_listing"]

_HEAVY = (
    *("torch", "tensorflow", "jax", "onnxruntime", "ctranslate2", "transformers", "faster_whisper", "whisper", "nemo"),
    *("vosk", "pocketsphinx", "librosa", "scipy", "sklearn", "pandas", "av", "soundfile"),
)


@attrs.frozen(kw_only=True)
class Seen:
    """What happened.

    Attributes:
        heavy: Packages that were imported and belong to an engine.
        sockets: The kinds of socket events.
    """

    heavy: tuple[str, ...]
    sockets: tuple[str, ...]


def watch_listing(plugin: str, distribution: str, engine: str) -> Seen:
    """Load one plugin beside the built-in ones, and ask it for all that a listing shows.

    Args:
        plugin: The entry point's name.
        distribution: Who brought it; ``asrlab`` for what is built in.
        engine: The engine's name.
    """
    events: dict[str, None] = {}
    before = set(sys.modules)

    def note(event: str, _arguments: tuple[Any, ...]) -> None:
        if event.startswith("socket."):
            events[event] = None

    sys.addaudithook(note)
    points = [
        point
        for point in entry_points(group="asrlab")
        if point.name == plugin and point.dist is not None and point.dist.name == distribution
    ]
    host = PluginHost(points=points, disabled=())
    registry = Registry(host)
    for kind, hook in ((DatasetSpec, "asrlab_datasets"), (Patch, "asrlab_patches")):
        host.collect(hook, kind)
    spec = next(spec for spec in reversed(registry.engines()) if spec.name == engine)
    spec.installed()
    spec.packages()
    heavy = {spec.import_name, *_HEAVY} - {point.value.partition(".")[0].partition(":")[0] for point in points}
    found = sorted(name for name in set(sys.modules) - before if name in heavy)
    return Seen(heavy=tuple(found), sockets=tuple(events))
