"""What an engine says of itself before anything of it is imported, and what it is given to load a model."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module, util
from pathlib import Path
from typing import Any

import attrs

from asrlab.device import Device, DeviceReport
from asrlab.engine.plugin_code import guarded_plugin_code, name_engine
from asrlab.environment import installed_version
from asrlab.errors import AsrlabError, EngineUnavailableError
from asrlab.installation import runnable
from asrlab.transcript import ModelInfo, PackageVersion, PatchStatus

PLUGIN_API = 2
"""Number of the plugin interface. A plugin states the one it was written for as ``asrlab_plugin_api = 1``."""

# what decodes the audio takes part in every transcript
_ALWAYS = ("asrlab", "numpy", "soundfile", "av", "soxr")


@attrs.frozen(kw_only=True)
class ModelSpec:
    """A set of weights that an engine knows by name.

    Attributes:
        name: The part after the slash, such as ``base``.
        aliases: Other names for it.
        weights: Keys in the weights catalogue, in order of preference; empty where the engine needs none, or sees to
            its own.
        languages: Primary subtags of the languages it was made for; None for multilingual.
        description: One line for a list.
        wer_bound: WER, as a fraction, that the model must stay under on the embedded ``smoke`` set, which is read
            speech, to count as working; None: no bound is stated, so that nothing can.
    """

    name: str
    aliases: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    languages: tuple[str, ...] | None = None
    description: str = ""
    wer_bound: float | None = None


@attrs.frozen(kw_only=True)
class EngineSpec:
    """An engine: data, with the code named by dotted strings, so that listing engines imports none.

    Attributes:
        name: The part before the slash, such as ``faster-whisper``.
        factory: ``package.module:function`` taking a `LoadRequest` and returning a `Recognizer`.
        devices: ``package.module:function`` taking nothing and giving a ``DeviceReport``.
        models: The models it knows by name.
        other_models: What a name means that is not among *models*, such as ``an id on the Hugging Face hub``: the
            factory is given a `ModelSpec` of that name. Empty if there are no other models.
        aliases: Other names for the engine; an alias alone also names *default_model*.
        default_model: The model that an alias alone stands for.
        weights_formats: Formats of weights that it loads from a folder or file of the user's: ``ctranslate2``,
            ``openai-pt``, ``safetensors``; empty if it takes none.
        compute_types: What ``compute_type`` may be besides ``auto``; None to leave the check to the engine.
        distribution: The distribution that does the work; None for one that needs none.
        import_name: Its top-level module.
        install: The command that installs it, such as ``pip install 'asrlab[faster-whisper]'``; shown as it works where
            asrlab runs.
        versions_of: Distributions whose versions belong into a transcript.
        batches: Whether its transcribers decode several recordings together: runs then hand them over by the dozen.
    """

    name: str
    factory: str
    devices: str
    models: tuple[ModelSpec, ...]
    other_models: str = ""
    aliases: tuple[str, ...] = ()
    default_model: str = ""
    weights_formats: tuple[str, ...] = ()
    compute_types: tuple[str, ...] | None = None
    distribution: str | None = None
    import_name: str | None = None
    install: str = ""
    versions_of: tuple[str, ...] = ()
    batches: bool = False

    def installed(self) -> bool:
        """Whether the package that does the work can be found. Imports nothing."""
        try:
            return self.import_name is None or util.find_spec(self.import_name) is not None
        except (ImportError, ValueError):  # the parent of a dotted name is missing, or a module has no spec
            return False

    def packages(self) -> tuple[PackageVersion, ...]:
        """The installed ones of the distributions that take part, asrlab and its decoders first. Imports nothing."""
        return tuple(
            PackageVersion(name=name, version=version)
            for name in (*_ALWAYS, *self.versions_of)
            if (version := installed_version(name)) is not None
        )

    def uses(self, distribution: str) -> bool:
        """Whether *distribution* is the one that does the work, or takes part."""
        return distribution == self.distribution or distribution in self.versions_of

    def call(self, dotted: str, *arguments: Any) -> Any:
        """Import and call one of the functions this spec names.

        Raises:
            EngineUnavailableError: The package is missing or does not import, or the function fails with an error that
                is not asrlab's.
        """
        self.check_installed()
        function = self._function(dotted)
        try:
            with guarded_plugin_code():
                return function(*arguments)
        except AsrlabError:
            raise
        except Exception as error:
            # the plugin boundary: whatever an engine raises, its user gets to know which one it was
            raise EngineUnavailableError(
                f"engine {self.name!r} failed in {dotted}: {_told(error)}; see: asrlab doctor", engine=self.name
            ) from error
        except BaseException as error:
            name_engine(error, self.name, f"in {dotted}")
            raise

    def device_report(self) -> DeviceReport:
        """What the engine can use on this machine, as its backend answers. Imports it.

        Raises:
            EngineUnavailableError: As `call` does, or the answer is no report.
        """
        report = self.call(self.devices)
        if not isinstance(report, DeviceReport):
            raise EngineUnavailableError(
                f"engine {self.name!r}: {self.devices} gave a {type(report).__name__} where a DeviceReport is needed; "
                "tell its authors",
                engine=self.name,
            )
        return report

    def check_installed(self) -> None:
        """Refuse to go on without the package that does the work. Imports nothing.

        Raises:
            EngineUnavailableError: It is missing.
        """
        if not self.installed():
            install = runnable(self.install)
            cure = f"run: {install}" if install else "install it"
            raise EngineUnavailableError(
                f"engine {self.name!r} needs {self.distribution or self.import_name}, which is not installed; {cure}",
                engine=self.name,
                install=install,
            )

    def check_imports(self) -> None:
        """Import the engine's own code, without loading a model.

        Raises:
            EngineUnavailableError: The package is missing or does not import.
        """
        self.check_installed()
        self._function(self.factory)

    def _function(self, dotted: str) -> Callable[..., Any]:
        module, _, name = dotted.partition(":")
        try:
            with guarded_plugin_code():
                function: Callable[..., Any] = getattr(import_module(module), name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # the plugin boundary: a module may raise anything, or call sys.exit
            raise EngineUnavailableError(
                f"engine {self.name!r} is installed but does not import: {_told(error)}; run: asrlab doctor",
                engine=self.name,
            ) from error
        return function


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"


@attrs.frozen(kw_only=True)
class LoadRequest:
    """What an engine's factory is given.

    Attributes:
        model: The name, and the facts of the weights.
        spec: The model's own spec; None for a user's folder of weights.
        weights: The checked folder or file; None where the engine needs none.
        weights_format: ``ctranslate2``, ``openai-pt`` or ``safetensors``; None likewise.
        device: Where to load it.
        compute_type: A number format, or ``auto``.
        threads: CPU threads an inference may use; None leaves it to the engine.
        packages: The distributions that take part.
        patches: What was changed in them for this, and what was not.
        offline: Whether an engine that sees to its own weights must fetch nothing over the network.
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

    def has(self, patch: str) -> bool:
        """Whether what *patch* mends is in order: by the patch, or because upstream has mended it."""
        return any(each.name == patch and (each.is_active or each.status == "retired") for each in self.patches)
