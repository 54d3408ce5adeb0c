"""A loaded model, with the methods of openai-whisper's."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import attrs

from asrlab import loading
from asrlab.compat.base import CompatModel
from asrlab.compat.whisper.decoding import DecodingOptions, decode, detect_language
from asrlab.compat.whisper.protocols import SupportsUpstreamLoop
from asrlab.engine.transcriber import Transcriber
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.weights import WeightsStore

if TYPE_CHECKING:
    from asrlab.compat.whisper.arguments import Arguments
    from asrlab.compat.whisper.transcription import Result


@attrs.frozen
class ModelDimensions:
    """The sizes of a model; None is what an engine other than openai-whisper does not tell."""

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
    """A device's name, for engines without torch; its ``type`` is ``cpu``, ``cuda`` or ``mps``, as torch's is."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """The kind of device."""
        return self.partition(":")[0]


class Model(CompatModel):
    """A transcriber with the face of openai-whisper's model. Use it as a context manager, or close it, or neither.

    Args:
        transcriber: Any that ``asrlab.load`` gives.

    Attributes:
        transcriber: The same.
    """

    _upstream = "whisper.load_model('base')"

    def __init__(self, transcriber: Transcriber) -> None:
        self.transcriber = transcriber

    @property
    def device(self) -> Any:
        """Where it runs: torch's device for openai-whisper, a name like it for others."""
        name = self.transcriber.info.device.resolved
        if not isinstance(self.transcriber.recognizer, SupportsUpstreamLoop):
            return DeviceName(name)
        import torch

        return torch.device(name)

    @property
    def dims(self) -> ModelDimensions:
        """The sizes of the model."""
        if not isinstance(self.transcriber.recognizer, SupportsUpstreamLoop):
            return ModelDimensions()
        with self.transcriber.recognizer.using_model() as raw:
            return ModelDimensions(**vars(raw.dims))

    @property
    def is_multilingual(self) -> bool:
        """Whether it knows more than one language."""
        known = self.transcriber.info.capabilities.languages
        return known is None or len(known) > 1

    @property
    def num_languages(self) -> int:
        """How many languages it knows; 0 where the engine does not say."""
        if not isinstance(self.transcriber.recognizer, SupportsUpstreamLoop):
            return len(self.transcriber.info.capabilities.languages or ())
        with self.transcriber.recognizer.using_model() as raw:
            return int(raw.num_languages)

    def transcribe(self, audio: Any, **given: Unpack[Arguments]) -> Result:
        """See `asrlab.compat.whisper.transcribe`."""
        from asrlab.compat.whisper.transcription import transcribe

        return transcribe(self, audio, **given)

    def detect_language(self, mel: Any, tokenizer: Any = None) -> tuple[Any, Any]:
        """See `asrlab.compat.whisper.detect_language`."""
        return detect_language(self, mel, tokenizer)

    def decode(self, mel: Any, options: DecodingOptions | None = None, **given: Any) -> Any:
        """See `asrlab.compat.whisper.decode`."""
        return decode(self, mel, options, **given)

    def __repr__(self) -> str:
        return f"<Model over {self.transcriber!r}>"


Whisper = Model
# Source: openai-whisper 20250625, `available_models`.
_NAMES = (
    *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
    *("large-v1", "large-v2", "large-v3", "large", "large-v3-turbo", "turbo"),
)
_FILES = {"large": "large-v3", "turbo": "large-v3-turbo"}


def available_models() -> list[str]:
    """Upstream's names, in upstream's order. ``asrlab.list_models`` has those of the other engines."""
    return list(_NAMES)


def load_model(
    name: str | PathLike[str] | Transcriber,
    device: Any = None,
    download_root: str | PathLike[str] | None = None,
    in_memory: bool = False,  # noqa: ARG001, FBT001, FBT002 - as upstream; what is read once is the same either way
) -> Model:
    """Load a model.

    Args:
        name: One of `available_models`, for openai-whisper; the path of a checkpoint of openai-whisper's; any other
            name of asrlab's, such as ``faster-whisper/base``; or a loaded transcriber.
        device: torch's device or its name; None lets asrlab choose.
        download_root: Where the weights are, or are put; None is asrlab's store, after upstream's own folder.
        in_memory: Makes no difference.

    Raises:
        EngineNotFoundError: There is no such model.
        DeviceUnavailableError: The device is not there.
        WeightsError: The weights are missing or damaged.
    """
    if isinstance(name, Transcriber):
        return Model(name)
    return load_with_threads(os.fspath(name), device=device, download_root=download_root)


def load_with_threads(
    name: str, *, device: Any = None, download_root: str | PathLike[str] | None = None, threads: int | None = None
) -> Model:
    """As `load_model`, with so many CPU threads; None leaves them to the engine."""
    where = "auto" if device is None else str(device)
    if name not in _NAMES and Path(name).expanduser().is_file():
        asked = f"openai-whisper/{Path(name).expanduser().absolute()}"
        return Model(loading.load(asked, device=where, threads=threads))
    asked = f"openai-whisper/{name}" if name in _NAMES else name
    weights = _weights(name, asked, download_root)
    return Model(loading.load(asked, device=where, weights=weights, threads=threads))


def _weights(name: str, asked: str, root: str | PathLike[str] | None) -> Path | None:
    """What upstream has downloaded already; or where *root* is named, what is fetched into it."""
    kept = Path(root) if root is not None else _default_root()
    checkpoint = kept.expanduser() / f"{_FILES.get(name, name)}.pt"
    if name in _NAMES and checkpoint.is_file():
        return checkpoint
    if root is None:
        return None
    stored = loading.fetch_weights_to_load(Registry(PluginHost()).resolve(asked), store=WeightsStore(kept))
    return stored.path if stored else None


def _default_root() -> Path:
    """Upstream's."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"
