"""A loaded model with the interface of openai-whisper's, and the functions that load it."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import attrs

from asrlab import loading
from asrlab.compat.base import CompatModel
from asrlab.compat.whisper.arguments import Arguments
from asrlab.compat.whisper.decoding import DecodingOptions, decode, detect_language
from asrlab.compat.whisper.protocols import SupportsUpstreamLoop
from asrlab.compat.whisper.transcription import TranscriptionResult, transcribe
from asrlab.engine.transcriber import Transcriber
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.weights import WeightsStore


@attrs.frozen
class ModelDimensions:
    """The dimensions of a model. Those that only openai-whisper reports are None for other engines."""

    n_mels: int = 80
    n_audio_ctx: int = 1500
    n_audio_state: int | None = None
    n_audio_head: int | None = None
    n_audio_layer: int | None = None
    n_vocab: int | None = None
    n_text_ctx: int | None = None
    n_text_state: int | None = None
    n_text_head: int | None = None
    n_text_layer: int | None = None


class DeviceName(str):
    """The name of a device for engines without torch, with the ``type`` of a torch device."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """Type of the device: ``cpu``, ``cuda`` or ``mps``."""
        return self.partition(":")[0]


class Model(CompatModel):
    """A transcriber with the interface of openai-whisper's model. Closing it is optional.

    Args:
        transcriber: A transcriber that ``asrlab.load`` returned.

    Attributes:
        transcriber: The transcriber that does the work.
    """

    _upstream = "whisper.load_model('base')"

    def __init__(self, transcriber: Transcriber) -> None:
        self.transcriber = transcriber

    @property
    def device(self) -> Any:
        """The device: torch's device object for openai-whisper, a `DeviceName` for others."""
        name = self.transcriber.info.device.resolved
        if not isinstance(self.transcriber.recognizer, SupportsUpstreamLoop):
            return DeviceName(name)
        import torch

        return torch.device(name)

    @property
    def dims(self) -> ModelDimensions:
        """The dimensions of the model."""
        if not isinstance(self.transcriber.recognizer, SupportsUpstreamLoop):
            return ModelDimensions()
        with self.transcriber.recognizer.using_model() as raw:
            return ModelDimensions(**vars(raw.dims))

    @property
    def is_multilingual(self) -> bool:
        """True if the model knows more than one language."""
        languages = self.transcriber.info.capabilities.languages
        return languages is None or len(languages) > 1

    @property
    def num_languages(self) -> int:
        """Number of languages of the model; 0 if the engine does not report it."""
        if not isinstance(self.transcriber.recognizer, SupportsUpstreamLoop):
            return len(self.transcriber.info.capabilities.languages or ())
        with self.transcriber.recognizer.using_model() as raw:
            return int(raw.num_languages)

    def transcribe(self, audio: Any, **given: Unpack[Arguments]) -> TranscriptionResult:
        """Transcribe *audio*; see `asrlab.compat.whisper.transcribe`."""
        return transcribe(self, audio, **given)

    def detect_language(self, mel: Any, tokenizer: Any = None) -> tuple[Any, Any]:
        """Detect the language of *mel*; see `asrlab.compat.whisper.detect_language`."""
        return detect_language(self, mel, tokenizer)

    def decode(self, mel: Any, options: DecodingOptions | None = None, **given: Any) -> Any:
        """Decode *mel*; see `asrlab.compat.whisper.decode`."""
        return decode(self, mel, options, **given)

    def __repr__(self) -> str:
        return f"<Model over {self.transcriber!r}>"


Whisper = Model
# Source: openai-whisper 20250625, `available_models`.
_MODEL_NAMES = (
    *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
    *("large-v1", "large-v2", "large-v3", "large", "large-v3-turbo", "turbo"),
)
_CHECKPOINT_NAMES = {"large": "large-v3", "turbo": "large-v3-turbo"}


def available_models() -> list[str]:
    """Return upstream's names, in upstream's order. ``asrlab.list_models`` returns those of all engines."""
    return list(_MODEL_NAMES)


def load_model(
    name: str | PathLike[str] | Transcriber,
    device: Any = None,
    download_root: str | PathLike[str] | None = None,
    in_memory: bool = False,  # noqa: ARG001, FBT001, FBT002 - as upstream; a file that is read once gives the same model
) -> Model:
    """Load a model.

    Args:
        name: One of `available_models`, for openai-whisper; the path of a checkpoint of openai-whisper; a model name of
            asrlab, such as ``faster-whisper/base``; or a loaded transcriber.
        device: A torch device or its name; None lets asrlab choose.
        download_root: Folder of the weights, also for downloads; None looks in upstream's folder, then in asrlab's
            store.
        in_memory: Ignored.

    Raises:
        EngineNotFoundError: If there is no such model.
        DeviceUnavailableError: If the device is not available.
        WeightsError: If the weights are missing or damaged.
    """
    if isinstance(name, Transcriber):
        return Model(name)
    return load_with_threads(os.fspath(name), device=device, download_root=download_root)


def load_with_threads(
    name: str, *, device: Any = None, download_root: str | PathLike[str] | None = None, threads: int | None = None
) -> Model:
    """Load a model as `load_model` does, with *threads* CPU threads; None lets the engine choose."""
    device_name = "auto" if device is None else str(device)
    checkpoint = Path(name).expanduser()
    if name not in _MODEL_NAMES and checkpoint.is_file():
        return Model(loading.load(f"openai-whisper/{checkpoint.absolute()}", device=device_name, threads=threads))
    full_name = f"openai-whisper/{name}" if name in _MODEL_NAMES else name
    weights = _find_weights(name, full_name, download_root)
    return Model(loading.load(full_name, device=device_name, weights=weights, threads=threads))


def _find_weights(name: str, full_name: str, root: str | PathLike[str] | None) -> Path | None:
    """Return a checkpoint that upstream downloaded; else, if *root* is given, weights downloaded into it."""
    folder = Path(root) if root is not None else _upstream_cache()
    checkpoint = folder.expanduser() / f"{_CHECKPOINT_NAMES.get(name, name)}.pt"
    if name in _MODEL_NAMES and checkpoint.is_file():
        return checkpoint
    if root is None:
        return None
    stored = loading.fetch_weights_to_load(Registry(PluginHost()).resolve(full_name), store=WeightsStore(folder))
    return stored.path if stored else None


def _upstream_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"
