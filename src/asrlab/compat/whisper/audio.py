"""openai-whisper's audio functions: files to samples, samples to 30 seconds, samples to a spectrogram."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

from asrlab.audio import Audio, load_samples
from asrlab.audio.types import SAMPLE_RATE
from asrlab.errors import EngineUnavailableError
from asrlab.installation import install_command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "CHUNK_LENGTH",
    "FRAMES_PER_SECOND",
    "HOP_LENGTH",
    "N_FFT",
    "N_FRAMES",
    "N_SAMPLES",
    "SAMPLE_RATE",
    "Spectrogram",
    "load_audio",
    "log_mel_spectrogram",
    "pad_or_trim",
]

N_FFT = 400
HOP_LENGTH = 160
CHUNK_LENGTH = 30
N_SAMPLES = CHUNK_LENGTH * SAMPLE_RATE
N_FRAMES = N_SAMPLES // HOP_LENGTH
FRAMES_PER_SECOND = SAMPLE_RATE // HOP_LENGTH


def load_audio(file: str | PathLike[str], sr: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """*file* as mono float32, shape (n,), at *sr* Hz. Decoded by asrlab: without a program ``ffmpeg``, and checked.

    Raises:
        AudioError: It cannot be read, is truncated, empty or not finite.
    """
    samples = load_samples(file)
    if sr == SAMPLE_RATE:
        return samples
    import numpy as np
    import soxr

    return np.asarray(soxr.resample(samples, SAMPLE_RATE, sr), dtype=np.float32)


def pad_or_trim(array: Any, length: int = N_SAMPLES, *, axis: int = -1) -> Any:
    """*array* cut to *length* along *axis*, or with zeros behind it: numpy's, torch's, or a `Spectrogram`."""
    if isinstance(array, Spectrogram):
        return array.fitted(length)
    size = array.shape[axis]
    if size >= length:
        cut = [slice(None)] * array.ndim
        cut[axis] = slice(0, length)
        return array[tuple(cut)]
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, length - size)
    if is_tensor(array):
        from torch.nn.functional import pad

        return pad(array, [side for pair in reversed(widths) for side in pair])
    import numpy as np

    return np.pad(array, widths)


def log_mel_spectrogram(audio: Any, n_mels: int = 80, padding: int = 0, device: Any = None) -> Spectrogram:
    """The log-Mel spectrogram of *audio*, which keeps its samples: an engine that wants samples gets those.

    Args:
        audio: A path, or samples at 16 kHz.
        n_mels: 80, or 128 for large-v3 and turbo.
        padding: Samples of silence behind the audio.
        device: Where openai-whisper's numbers are computed.
    """
    import numpy as np

    samples = samples_of(audio)
    padded = np.pad(samples, (0, padding)) if padding else samples
    spectrogram = Spectrogram(padded, frames=len(padded) // HOP_LENGTH, n_mels=n_mels)
    return spectrogram if device is None else spectrogram.to(device)


def samples_of(audio: Any) -> NDArray[np.float32]:
    """The samples of a path, or of an array or tensor at 16 kHz."""
    import numpy as np

    if isinstance(audio, str | PathLike):
        return load_audio(audio)
    array = audio.detach().cpu().numpy() if is_tensor(audio) else audio
    return load_samples(Audio(samples=np.asarray(array), sample_rate=SAMPLE_RATE))


def is_tensor(value: object) -> bool:
    """Whether it is torch's. Imports nothing."""
    return any(kind.__module__ == "torch" and kind.__name__ == "Tensor" for kind in type(value).__mro__)


class Spectrogram:
    """A log-Mel spectrogram and the samples that it is of.

    Its numbers are openai-whisper's, computed when they are asked for; torch's functions, and any attribute that is not
    listed here, go to the tensor.

    Attributes:
        samples: float32, shape (n,), at 16 kHz.
        shape: (n_mels, frames); a frame is 10 ms.
    """

    ndim = 2

    def __init__(
        self, samples: NDArray[np.float32], *, frames: int, n_mels: int, make: Callable[[], Any] | None = None
    ) -> None:
        self.samples = samples
        self.shape = (n_mels, frames)
        self._make = make or self._compute
        self._tensor: Any = None

    @property
    def tensor(self) -> Any:
        """The tensor of torch. Imports openai-whisper.

        Raises:
            EngineUnavailableError: openai-whisper is not installed.
        """
        if self._tensor is None:
            self._tensor = self._make()
        return self._tensor

    def to(self, *arguments: Any, **named: Any) -> Spectrogram:
        """As the tensor's: on another device, or of another type."""
        return self._derived(self.samples, self.shape[1], lambda: self.tensor.to(*arguments, **named))

    def fitted(self, frames: int) -> Spectrogram:
        """Of *frames* frames, by cutting or by zeros behind it."""
        samples = pad_or_trim(self.samples, frames * HOP_LENGTH)
        return self._derived(samples, frames, lambda: pad_or_trim(self.tensor, frames))

    def _derived(self, samples: NDArray[np.float32], frames: int, make: Callable[[], Any]) -> Spectrogram:
        return Spectrogram(samples, frames=frames, n_mels=self.shape[0], make=make)

    def _compute(self) -> Any:
        if importlib.util.find_spec("whisper") is None:
            install = install_command("asrlab[openai-whisper]")
            raise EngineUnavailableError(
                f"the numbers of a spectrogram are computed by openai-whisper, which is not installed; run: {install}",
                engine="openai-whisper",
                install=install,
            )
        from whisper.audio import log_mel_spectrogram as computed

        return computed(self.samples, self.shape[0])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.tensor, name)

    def __getitem__(self, place: Any) -> Any:
        return self.tensor[place]

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
        import numpy as np

        return np.array(self.tensor.cpu().numpy(), dtype=dtype, copy=copy)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch calls: its functions take the tensor."""
        return function(*map(_plain, args), **{name: _plain(value) for name, value in (kwargs or {}).items()})

    def __repr__(self) -> str:
        return f"<Spectrogram of {len(self.samples) / SAMPLE_RATE:.2f} s, shape {self.shape}>"


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value.tensor if isinstance(value, Spectrogram) else value
