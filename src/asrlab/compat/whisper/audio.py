"""openai-whisper's audio functions: they load files, pad samples to 30 seconds, and compute spectrograms."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

from asrlab.audio import SAMPLE_RATE, Audio, AudioSource, load_samples
from asrlab.compat.delegation import delegate_missing
from asrlab.errors import EngineUnavailableError
from asrlab.installation import install_command
from asrlab.upstream import find_upstream, import_upstream

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
    """Load *file* as mono float32, shape (n,), at *sr* Hz, with asrlab's decoders and checks; ffmpeg is not needed.

    Raises:
        AudioError: If the file cannot be read, is truncated, empty or not finite.
    """
    samples = load_samples(file)
    if sr == SAMPLE_RATE:
        return samples
    import numpy as np
    import soxr

    return np.asarray(soxr.resample(samples, SAMPLE_RATE, sr), dtype=np.float32)


def pad_or_trim(array: Any, length: int = N_SAMPLES, *, axis: int = -1) -> Any:
    """Trim *array* to *length* along *axis*, or pad it with zeros: an array, a tensor, or a `Spectrogram`."""
    if isinstance(array, Spectrogram):
        return array.pad_or_trim(length)
    size = array.shape[axis]
    if size >= length:
        index = [slice(None)] * array.ndim
        index[axis] = slice(0, length)
        return array[tuple(index)]
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, length - size)
    if is_tensor(array):
        from torch.nn.functional import pad

        return pad(array, [side for pair in reversed(widths) for side in pair])
    import numpy as np

    return np.pad(array, widths)


def log_mel_spectrogram(audio: Any, n_mels: int = 80, padding: int = 0, device: Any = None) -> Spectrogram:
    """Return the log-Mel spectrogram of *audio*, with its samples for engines that need them.

    Args:
        audio: A path, or samples at 16 kHz.
        n_mels: Number of Mel bands: 80, or 128 for large-v3 and turbo.
        padding: Samples of silence after the audio.
        device: The device on which openai-whisper computes the spectrogram.
    """
    import numpy as np

    samples = np.pad(load_samples(to_source(audio)), (0, padding))
    spectrogram = Spectrogram(samples, frames=len(samples) // HOP_LENGTH, n_mels=n_mels)
    return spectrogram if device is None else spectrogram.to(device)


def is_tensor(value: object) -> bool:
    """Return whether *value* is a torch tensor, without an import of torch."""
    return any(kind.__module__ == "torch" and kind.__name__ == "Tensor" for kind in type(value).__mro__)


def to_source(audio: Any) -> AudioSource:
    """Return a path as given, and an array or tensor of samples at 16 kHz as audio."""
    if isinstance(audio, str | PathLike):
        return audio
    import numpy as np

    samples = audio.detach().cpu().numpy() if is_tensor(audio) else audio
    return Audio(samples=np.asarray(samples), sample_rate=SAMPLE_RATE)


class Spectrogram:
    """A log-Mel spectrogram with its samples.

    openai-whisper computes the tensor when it is needed. Functions of torch, and attributes that are not listed here,
    use the tensor.

    Attributes:
        samples: Samples as float32, shape (n,), at 16 kHz.
        shape: Mel bands and frames; a frame is 10 ms.
    """

    ndim = 2

    def __init__(
        self, samples: NDArray[np.float32], *, frames: int, n_mels: int, compute: Callable[[], Any] | None = None
    ) -> None:
        self.samples = samples
        self.shape = (n_mels, frames)
        self._compute = compute or self._compute_tensor
        self._tensor: Any = None

    @property
    def tensor(self) -> Any:
        """The torch tensor, which openai-whisper computes.

        Raises:
            EngineUnavailableError: If openai-whisper is not installed.
        """
        if self._tensor is None:
            self._tensor = self._compute()
        return self._tensor

    def to(self, *arguments: Any, **named: Any) -> Spectrogram:
        """Return the spectrogram on another device, or in another type, as the tensor's ``to`` does."""
        n_mels, frames = self.shape
        return Spectrogram(
            self.samples, frames=frames, n_mels=n_mels, compute=lambda: self.tensor.to(*arguments, **named)
        )

    def pad_or_trim(self, frames: int) -> Spectrogram:
        """Return the spectrogram with *frames* frames, trimmed or padded with zeros."""
        samples = pad_or_trim(self.samples, frames * HOP_LENGTH)
        return Spectrogram(
            samples, frames=frames, n_mels=self.shape[0], compute=lambda: pad_or_trim(self.tensor, frames)
        )

    def _compute_tensor(self) -> Any:
        if find_upstream("whisper") is None:
            install = install_command("asrlab[openai-whisper]")
            raise EngineUnavailableError(
                f"openai-whisper, which computes the numbers of a spectrogram, is not installed; run: {install}",
                engine="openai-whisper",
                install=install,
            )
        return import_upstream("whisper.audio").log_mel_spectrogram(self.samples, self.shape[0])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.tensor, name)

    def __getitem__(self, index: Any) -> Any:
        return self.tensor[index]

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
        import numpy as np

        return np.array(self.tensor.cpu().numpy(), dtype=dtype, copy=copy)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch with the tensor."""
        return function(*map(to_tensor, args), **{name: to_tensor(value) for name, value in (kwargs or {}).items()})

    def __repr__(self) -> str:
        return f"<Spectrogram of {len(self.samples) / SAMPLE_RATE:.2f} s, shape {self.shape}>"


def to_tensor(value: Any) -> Any:
    """Replace each `Spectrogram`, also in a list or tuple, by its tensor."""
    if isinstance(value, list | tuple):
        return type(value)(map(to_tensor, value))
    return value.tensor if isinstance(value, Spectrogram) else value


__getattr__ = delegate_missing(__name__)
