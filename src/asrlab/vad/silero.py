"""Voice by Silero's neural model, run by onnxruntime from a file that another package brought."""

from __future__ import annotations

import hashlib
import logging
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asrlab.audio.checks import SILENT_PEAK
from asrlab.environment import installed_version
from asrlab.errors import EngineUnavailableError, WeightsError
from asrlab.installation import install_command
from asrlab.vad.detector import FRAME_SAMPLES, EnergyVad, VadInfo, VadStream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from asrlab.vad.detector import VoiceActivityDetector

_PLACES = (
    ("faster_whisper", "assets/silero_vad_v6.onnx"),
    ("silero_vad", "data/silero_vad_16k_sequence.onnx"),
    ("silero_vad", "data/silero_vad.onnx"),
    ("silero_vad", "data/silero_vad_16k_op15.onnx"),
)
_DISTRIBUTIONS = {"faster_whisper": "faster-whisper", "silero_vad": "silero-vad"}
_CONTEXT_SAMPLES = 64
_SAMPLE_RATE = 16_000
_SPEECH_DB = -25.0
"""The loudness of ordinary speech, in dB of full scale. Source: the mean of FLEURS and LJ Speech is -24."""


def silero_files() -> tuple[Path, ...]:
    """The model's files in the packages installed here, best first. The packages are not imported."""
    folders = {package: _folder(package) for package in _DISTRIBUTIONS}
    places = ((folders[package], name) for package, name in _PLACES)
    return tuple(folder / name for folder, name in places if folder is not None and (folder / name).is_file())


class SileroVad:
    """Silero's voice activity model, version 5 or 6, at 16 kHz on one CPU thread.

    Args:
        path: The ONNX file: the kind that takes a sequence of frames, or the kind that takes one frame at a time.

    Raises:
        EngineUnavailableError: onnxruntime is not installed.
        WeightsError: The file cannot be loaded, or holds another model.
    """

    def __init__(self, path: Path) -> None:
        self._session = _session(path)
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        if not {"input", "h", "c"} <= self._inputs and not {"input", "state"} <= self._inputs:
            inputs = ", ".join(sorted(self._inputs))
            raise WeightsError(f"{path} is no Silero voice activity model: it takes {inputs}", model=str(path))
        self.info = VadInfo(name=path.stem, source=_source(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    def start(self) -> VadStream:
        """Begin a recording."""
        if "h" in self._inputs:
            return VadStream(_SequenceScorer(self._session))
        return VadStream(_FrameByFrameScorer(self._session, takes_rate="sr" in self._inputs))

    def rescore(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Hear *samples* with no memory of what came before, as loud as ordinary speech.

        The model misses quiet speech, most of all behind loud speech; noise that is amplified it still does not take
        for voice. None for digital silence.
        """
        import numpy as np

        if not len(samples) or np.abs(samples).max() < SILENT_PEAK:
            return None
        stream = self.start()
        amplified = (samples * _gain(samples)).clip(-1, 1)
        return np.concatenate([stream.feed(amplified), stream.finish()])


class _SequenceScorer:
    """For the files whose graph holds the loop over frames.

    Source: faster-whisper 1.2.1, vad.py, ``SileroVADModel``: each frame is preceded by the last 64 samples of the one
    before it, and the two states of the LSTM go from call to call.
    """

    def __init__(self, session: Any) -> None:
        import numpy as np

        self._session = session
        self._h = self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros((1, _CONTEXT_SAMPLES), np.float32)

    def score(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities, shape (k,)."""
        inputs, self._context = _with_context(frames, self._context)
        found, self._h, self._c = self._session.run(None, {"input": inputs, "h": self._h, "c": self._c})
        probabilities: NDArray[np.float32] = found.reshape(-1)
        return probabilities


class _FrameByFrameScorer:
    """For the files that take one frame a call.

    Source: silero-vad 6.2.3, utils_vad.py, ``OnnxWrapper``.
    """

    def __init__(self, session: Any, *, takes_rate: bool) -> None:
        import numpy as np

        self._session = session
        self._rate = {"sr": np.array(_SAMPLE_RATE, np.int64)} if takes_rate else {}
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros((1, _CONTEXT_SAMPLES), np.float32)

    def score(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities, shape (k,)."""
        import numpy as np

        inputs, self._context = _with_context(frames, self._context)
        return np.array([self._one(frame) for frame in inputs], np.float32)

    def _one(self, frame: NDArray[np.float32]) -> float:
        given = {"input": frame[None], "state": self._state, **self._rate}
        found, self._state = self._session.run(None, given)
        return float(found[0, 0])


def _with_context(
    frames: NDArray[np.float32], context: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each of *frames* behind the end of the one before it, and the context for the next call."""
    import numpy as np

    ends = frames[:, FRAME_SAMPLES - _CONTEXT_SAMPLES :]
    return np.concatenate([np.concatenate([context, ends[:-1]]), frames], axis=1), ends[-1:].copy()


def _gain(samples: NDArray[np.float32]) -> np.float32:
    """What makes the louder frames of *samples* as loud as speech; never less than 1."""
    import numpy as np

    is_whole = max(1, len(samples) // FRAME_SAMPLES) * FRAME_SAMPLES
    loudness = float(np.percentile(samples[:is_whole].reshape(-1, min(FRAME_SAMPLES, len(samples))).std(axis=1), 95))
    return np.float32(max(1.0, 10 ** (_SPEECH_DB / 20) / max(loudness, SILENT_PEAK)))


def _session(path: Path) -> Any:
    try:
        import onnxruntime  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        install = install_command("onnxruntime")
        message = f"the voice activity model {path.name} needs onnxruntime ({error}); run: {install}"
        raise EngineUnavailableError(message, install=install) from error
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1  # an LSTM over small frames gains from no more
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"], sess_options=options)
    except Exception as error:  # onnxruntime's errors share no base but this
        message = f"cannot load the voice activity model {path}: {error}; install the package that brought it again"
        raise WeightsError(message, model=str(path)) from error


def _folder(package: str) -> Path | None:
    """Where *package* is installed; None if it is not. Finding a package imports nothing of it."""
    try:
        spec = util.find_spec(package)
    except ValueError:  # something stands in for it that has no spec
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _source(path: Path) -> str:
    """The distribution and version that *path* belongs to, or its folder."""
    distribution = _DISTRIBUTIONS.get(path.parent.parent.name)
    if distribution is None:
        return str(path.parent)
    return f"{distribution} {installed_version(distribution) or ''}".rstrip()


_log = logging.getLogger("asrlab.vad")


def load_vad(*, files: Sequence[Path] | None = None) -> VoiceActivityDetector:
    """Load Silero's model from where it is installed, or else fall back to loudness; ``info`` says which it is.

    Nothing is fetched. A file that does not load is passed over with a warning in the log.

    Args:
        files: Where to look, best first; None looks into faster-whisper, then silero-vad.
    """
    for path in silero_files() if files is None else files:
        try:
            return SileroVad(path)
        except (EngineUnavailableError, WeightsError) as error:
            _log.warning("%s", error)
    _log.info("no voice activity model is installed; long audio is cut where it is least loud")
    return EnergyVad()
