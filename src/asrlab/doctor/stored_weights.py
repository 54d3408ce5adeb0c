"""Reads and hashes the weights of the store again, whatever was concluded before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.errors import WeightsError
from asrlab.plugins.registry import Registry
from asrlab.weights import WeightsStore, entries
from asrlab.weights.catalogue import WeightsEntry

_MB = 1e6


@attrs.frozen(kw_only=True)
class VerifiedWeights:
    """The result for one entry of the store.

    Attributes:
        key: The entry.
        model: The model that ``asrlab pull`` fetches it for; empty if no engine has one.
        failure: What differs; empty if nothing does.
        detail: What was compared.
    """

    key: str
    model: str
    failure: str = ""
    detail: str = ""


def verify_stored_weights(
    registry: Registry,
    specs: Sequence[EngineSpec],
    *,
    progress: Callable[[Sequence[str]], object],
    store: WeightsStore | None = None,
) -> Iterator[VerifiedWeights]:
    """Hash every file of the entries that the store holds, and yield each entry's result.

    Args:
        registry: Where the models' names are looked up.
        specs: The engines whose weights are of interest.
        progress: Called with the entry that is being read.
        store: The store; None is the user's.
    """
    store = store or WeightsStore()
    wanted = {key for spec in specs for model in spec.models for key in model.weights}
    for entry in entries():
        if entry.key not in wanted:
            continue
        progress([entry.key])
        model = _model_of(entry, registry)
        try:
            stored = store.find(entry, fresh=True)
        except WeightsError as error:
            yield VerifiedWeights(key=entry.key, model=model, failure=error.message)
            continue
        if stored is not None:
            size = sum((stored.folder / file.name).stat().st_size for file in stored.files)
            against = "the catalogue" if stored.pinned else "what was first fetched"
            count = f"{len(stored.files)} file" + ("s" if len(stored.files) > 1 else "")
            detail = f"{count}, {size / _MB:.1f} MB, read again; sha256 as in {against}"
            yield VerifiedWeights(key=entry.key, model=model, detail=detail)
    progress(())


def _model_of(entry: WeightsEntry, registry: Registry) -> str:
    """Return the model that prefers *entry* most."""
    offers = [
        (resolved.model.weights.index(entry.key), position, resolved.name)
        for position, resolved in enumerate(registry.models())
        if resolved.model and entry.key in resolved.model.weights
    ]
    return min(offers)[2] if offers else ""
