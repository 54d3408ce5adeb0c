"""What a model leaves behind in its process: run in a fresh one, which loads, transcribes and closes twice."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from importlib import import_module

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.loading import load
from asrlab.options import TranscribeOptions
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.testing.conformance.process_state import Attributes, Growing, State, seed_generators, unsettle
from asrlab.testing.conformance.recordings import speech_of
from asrlab.testing.conformance.target import Target


@attrs.frozen(kw_only=True)
class Leak:
    """Something that stayed.

    Attributes:
        kind: Such as ``environment``; ``load`` if the model could not be loaded at all.
        told: What, and what to do.
    """

    kind: str
    told: str


def leaks_of(subject: Target) -> tuple[Leak, ...]:
    """Load, transcribe and close twice; in a process that has done nothing yet.

    What a package changes when it is first imported cannot be told from what it needs, so warnings filters, handlers
    of named loggers, threads and files are compared over the second time only.
    """
    spec = Registry(PluginHost()).resolve(subject.model).engine
    before = State.now()
    if spec.import_name:
        import_module(spec.import_name)
    before = attrs.evolve(before, torch=State.now().torch)
    for dotted in (spec.devices, spec.factory):
        import_module(dotted.partition(":")[0])
    attributes = Attributes.now(without=_own(spec))
    seed_generators(1)
    try:
        _use(subject)
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        return (Leak(kind="load", told=f"{type(error).__name__}: {error}"),)
    first = seed_generators(2)
    changed = attributes.changed()
    unsettle()
    growing = Growing.now()
    _use(subject)
    second = seed_generators(3)
    return tuple(_found(before, growing, changed, [name for name in first if first[name] == second[name]]))


def _own(spec: EngineSpec) -> str:
    """The package of the engine's own code, which may do with itself as it likes."""
    module = spec.factory.partition(":")[0]
    return module.rpartition(".")[0] or module


def _use(subject: Target) -> None:
    with load(
        subject.model,
        device=subject.load_device,
        compute_type=subject.compute_type,
        weights=subject.weights,
        offline=subject.offline,
    ) as transcriber:
        # simulated, words take many times as long as the rest
        words = transcriber.info.capabilities.word_timestamps and not subject.simulated
        transcriber.transcribe(speech_of(subject), options=TranscribeOptions(word_timestamps=words))
    del transcriber
    gc.collect()


def _found(before: State, growing: Growing, changed: tuple[str, ...], seeded: list[str]) -> Iterator[Leak]:
    for kind, told in (*before.differences(), *growing.differences()):
        yield Leak(kind=kind, told=told)
    for name in changed:
        yield Leak(
            kind="patches",
            told=f"{name} is another object than before; offer the change as a Patch, which asrlab undoes on closing",
        )
    for name in seeded:
        yield Leak(
            kind="random",
            told=f"{name} is in the same state whatever it was before; use a generator of your own",
        )
