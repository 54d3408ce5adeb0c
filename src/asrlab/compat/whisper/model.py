"""A loaded model, with the methods of openai-whisper's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import attrs

from asrlab.compat.look_alike import LookAlike
from asrlab.compat.whisper.decoding import DecodingOptions, decode, detect_language
from asrlab.compat.whisper.native import Native
from asrlab.transcriber import Transcriber

if TYPE_CHECKING:
    from asrlab.compat.whisper.arguments import Arguments
    from asrlab.compat.whisper.transcription import Result

__all__ = ["Model", "ModelDimensions", "Place", "Whisper"]


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


class Place(str):
    """A device's name, for engines without torch; its ``type`` is ``cpu``, ``cuda`` or ``mps``, as torch's is."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """The kind of device."""
        return self.partition(":")[0]


class Model(LookAlike):
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
        if not isinstance(self.transcriber, Native):
            return Place(name)
        import torch

        return torch.device(name)

    @property
    def dims(self) -> ModelDimensions:
        """The sizes of the model."""
        if not isinstance(self.transcriber, Native):
            return ModelDimensions()
        with self.transcriber.using_model() as raw:
            return ModelDimensions(**vars(raw.dims))

    @property
    def is_multilingual(self) -> bool:
        """Whether it knows more than one language."""
        known = self.transcriber.info.capabilities.languages
        return known is None or len(known) > 1

    @property
    def num_languages(self) -> int:
        """How many languages it knows; 0 where the engine does not say."""
        if not isinstance(self.transcriber, Native):
            return len(self.transcriber.info.capabilities.languages or ())
        with self.transcriber.using_model() as raw:
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
