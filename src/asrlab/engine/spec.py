"""The description of an engine, which needs no import of it, the request to load a model, and the guard of its code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from asrlab.device import Device, DeviceReport
from asrlab.environment import installed_version
from asrlab.errors import AsrlabError, EngineUnavailableError
from asrlab.installation import runnable
from asrlab.transcript import ModelInfo, PackageVersion, PatchStatus
from asrlab.upstream import find_upstream, upstream_modules

PLUGIN_API = 2
"""Number of the plugin interface. A plugin states the one it was written for as ``asrlab_plugin_api = 2``."""

# asrlab and its audio decoders take part in every transcript
_BASE_PACKAGES = ("asrlab", "numpy", "soundfile", "av", "soxr")
STDOUT_GUARD: ContextVar[Callable[[], AbstractContextManager[object]]] = ContextVar(
    "asrlab_stdout_guard", default=nullcontext
)
"""Returns the context in which code of a plugin runs; the command line keeps its output off standard output there."""

_JSON = ("dump", "dumps", "load", "loads", "JSONEncoder", "JSONDecoder")


@contextmanager
def guarded_plugin_code() -> Iterator[list[str]]:
    """Run code of a plugin, and restore the functions of `json` that it replaces.

    Yields:
        The names of the replaced functions, which are set after the block.
    """
    before: dict[str, Any] = {name: getattr(json, name) for name in _JSON}
    replaced: list[str] = []
    try:
        with STDOUT_GUARD.get()():
            yield replaced
    finally:
        for name, value in before.items():
            if getattr(json, name) is not value:
                setattr(json, name, value)
                replaced.append(f"json.{name}")


def name_engine(error: BaseException, engine: str, doing: str) -> None:
    """Add a note with the engine to *error*, if it is an exception that ends a program, such as SystemExit.

    The error is not replaced, because a signal handler of the user's may have raised it.
    """
    if not isinstance(error, Exception | KeyboardInterrupt):
        error.add_note(f"raised by engine {engine!r} {doing}")


@attrs.frozen(kw_only=True)
class ModelSpec:
    """A model that an engine knows by name.

    Attributes:
        name: The part after the slash, such as ``base``.
        aliases: Other names.
        weights: Keys in the weights catalogue, in order of preference; empty if the engine needs no weights, or fetches
            them itself.
        languages: Primary subtags of the model's languages; None if it is multilingual.
        description: One line for lists.
        wer_bound: WER, as a fraction, that the model must not reach on the embedded ``smoke`` set of read speech to
            count as working; None if there is no bound, so that it never counts as working.
    """

    name: str
    aliases: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    languages: tuple[str, ...] | None = None
    description: str = ""
    wer_bound: float | None = None


@attrs.frozen(kw_only=True)
class EngineSpec:
    """The description of an engine. Dotted strings name its code, so that listing engines imports none.

    Attributes:
        name: The part before the slash, such as ``faster-whisper``.
        factory: ``package.module:function`` that takes a `LoadRequest` and returns a `Recognizer`.
        devices: ``package.module:function`` that takes nothing and returns a ``DeviceReport``.
        models: The models with names.
        accepts_any_model: Description of the names besides *models*, such as ``an id on the Hugging Face hub``; the
            factory receives a `ModelSpec` of that name. Empty if there are no other models.
        aliases: Other names for the engine; an alias alone also names *default_model*.
        default_model: The model that an alias alone names.
        weights_formats: Formats of a user's own weights that the engine loads: ``ctranslate2``, ``openai-pt``,
            ``safetensors``; empty if it loads none.
        compute_types: Values of ``compute_type`` besides ``auto``; None to leave the check to the engine.
        distribution: The distribution that runs the models; None if the engine needs none.
        import_name: Top-level module of the engine's package.
        install: The command that installs it, such as ``pip install 'asrlab[faster-whisper]'``; shown as it works in
            the present environment.
        reported_distributions: Distributions whose versions are part of a transcript.
        supports_batching: True if the engine decodes batches; runs then pass several recordings to it at once.
    """

    name: str
    factory: str
    devices: str
    models: tuple[ModelSpec, ...]
    accepts_any_model: str = ""
    aliases: tuple[str, ...] = ()
    default_model: str = ""
    weights_formats: tuple[str, ...] = ()
    compute_types: tuple[str, ...] | None = None
    distribution: str | None = None
    import_name: str | None = None
    install: str = ""
    reported_distributions: tuple[str, ...] = ()
    supports_batching: bool = False

    def is_installed(self) -> bool:
        """Return whether the package that runs the models is installed. Imports nothing."""
        try:
            return self.import_name is None or find_upstream(self.import_name) is not None
        except (ImportError, ValueError):  # the parent of a dotted name is missing, or a module has no spec
            return False

    def packages(self) -> tuple[PackageVersion, ...]:
        """Return the installed distributions that take part, asrlab and its decoders first. Imports nothing."""
        return tuple(
            PackageVersion(name=name, version=version)
            for name in (*_BASE_PACKAGES, *self.reported_distributions)
            if (version := installed_version(name)) is not None
        )

    def uses(self, distribution: str) -> bool:
        """Return whether *distribution* runs the models or takes part."""
        return distribution == self.distribution or distribution in self.reported_distributions

    def call[T](self, dotted: str, returns: type[T], *arguments: Any) -> T:
        """Import and call a function that this spec names.

        Raises:
            EngineUnavailableError: If the package is missing or cannot be imported, or the function raises an error
                that is not asrlab's, or returns something other than *returns*.
        """
        self.check_installed()
        function = self._function(dotted)
        try:
            with guarded_plugin_code():
                result = function(*arguments)
        except AsrlabError:
            raise
        except Exception as error:
            # the plugin boundary: whatever an engine raises, the message names the engine
            raise self._unavailable(f" failed in {dotted}: {_describe_error(error)}; see: asrlab doctor") from error
        except BaseException as error:
            name_engine(error, self.name, f"in {dotted}")
            raise
        if not isinstance(result, returns):
            raise self._unavailable(
                f": {dotted} returned a {type(result).__name__} instead of a {returns.__name__}; report this to its "
                "authors"
            )
        return result

    def device_report(self) -> DeviceReport:
        """Return the devices that the engine can use on this machine. Imports the engine; raises as `call` does."""
        return self.call(self.devices, DeviceReport)

    def check_installed(self) -> None:
        """Check that the package that runs the models is installed. Imports nothing."""
        if not self.is_installed():
            install = runnable(self.install)
            package = self.distribution or self.import_name
            cure = f"run: {install}" if install else "install it"
            raise self._unavailable(f" needs {package}, which is not installed; {cure}", install=install)

    def check_imports(self) -> None:
        """Check that the engine's own code can be imported, without loading a model."""
        self.check_installed()
        self._function(self.factory)

    def _function(self, dotted: str) -> Callable[..., Any]:
        module, _, name = dotted.partition(":")
        try:
            with guarded_plugin_code(), upstream_modules(self.import_name):
                function: Callable[..., Any] = getattr(import_module(module), name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # the plugin boundary: a module may raise anything, or call sys.exit
            raise self.import_error(_describe_error(error)) from error
        return function

    def import_error(self, reason: str) -> EngineUnavailableError:
        """Return the error for an engine whose package is there and cannot be imported."""
        return self._unavailable(f" is installed but cannot be imported: {reason}; run: asrlab doctor")

    def _unavailable(self, what: str, *, install: str = "") -> EngineUnavailableError:
        return EngineUnavailableError(f"engine {self.name!r}{what}", engine=self.name, install=install)


def _describe_error(error: BaseException) -> str:
    return str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"


@attrs.frozen(kw_only=True)
class LoadRequest:
    """The request that an engine's factory receives.

    Attributes:
        model: The model's name and the facts of its weights.
        spec: The model's spec; None for a user's own weights.
        weights: The checked folder or file; None if the engine needs none.
        weights_format: ``ctranslate2``, ``openai-pt`` or ``safetensors``; None if the engine needs no weights.
        device: The device to load the model on.
        compute_type: Number format, or ``auto``.
        threads: CPU threads an inference may use; None lets the engine choose.
        packages: The installed distributions that take part.
        patches: Status of the patches to these distributions.
        offline: True if an engine that fetches its own weights must not use the network.
    """

    model: ModelInfo
    spec: ModelSpec | None
    weights: Path | None
    weights_format: str | None
    device: Device
    compute_type: str = "auto"
    threads: int | None = None
    packages: tuple[PackageVersion, ...] = ()
    patches: tuple[PatchStatus, ...] = ()
    offline: bool = False

    def is_fixed(self, patch: str) -> bool:
        """Return whether the fault that *patch* is for is fixed, by the patch or upstream."""
        return any(status.name == patch and (status.is_active or status.status == "retired") for status in self.patches)
