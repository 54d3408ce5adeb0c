"""Detection of process state that a model leaves behind, by loading, transcribing and closing twice."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from importlib import import_module

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.options import TranscribeOptions
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.testing.conformance.process_state import (
    AttributeSnapshot,
    GrowingState,
    ProcessState,
    disturb_settings,
    seed_generators,
)
from asrlab.testing.conformance.target import Target


@attrs.frozen(kw_only=True)
class Leak:
    """Process state that was not restored.

    Attributes:
        kind: The kind of state, such as ``environment``; ``load`` if the model could not be used at all.
        message: Description of the change, and the remedy.
    """

    kind: str
    message: str


def find_leaks(target: Target) -> tuple[Leak, ...]:
    """Load, transcribe and close twice, and compare the state of the process; for a fresh process.

    The first use of a package may change warnings filters, handlers of named loggers, threads and files for good
    reasons, so that these are compared over the second use only.
    """
    spec = Registry(PluginHost()).resolve(target.model).engine
    before = ProcessState.capture()
    if spec.import_name:
        import_module(spec.import_name)
    before = attrs.evolve(before, torch=ProcessState.capture().torch)
    for dotted in (spec.devices, spec.factory):
        import_module(dotted.partition(":")[0])
    attributes = AttributeSnapshot.capture(exclude=_engine_package(spec))
    seed_generators(1)
    try:
        _use(target)
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        return (Leak(kind="load", message=f"{type(error).__name__}: {error}"),)
    first = seed_generators(2)
    changed = attributes.changed()
    disturb_settings()
    growing = GrowingState.capture()
    _use(target)
    second = seed_generators(3)
    seeded = [name for name in first if first[name] == second[name]]
    differences = (*before.differences(), *growing.differences(), *_replaced(changed), *_seeded(seeded))
    return tuple(Leak(kind=kind, message=message) for kind, message in differences)


def _engine_package(spec: EngineSpec) -> str:
    # the engine may change its own package
    module = spec.factory.partition(":")[0]
    return module.rpartition(".")[0] or module


def _use(target: Target) -> None:
    with target.load() as transcriber:
        # word times take many times as long as the rest in a simulation
        words = transcriber.info.capabilities.word_timestamps and not target.simulated
        transcriber.transcribe(target.load_speech(), options=TranscribeOptions(word_timestamps=words))
    del transcriber
    gc.collect()


def _replaced(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        yield "patches", f"{name} was replaced; offer the change as a Patch, which asrlab undoes on closing"


def _seeded(names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        yield "random", f"{name} has the same state whatever its state was before; use a generator of your own"
