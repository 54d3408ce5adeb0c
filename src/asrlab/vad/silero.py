"""Voice activity detection by Silero's neural model, run by onnxruntime from a file in another package."""

from __future__ import annotations

import hashlib
import logging
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asrlab.audio.samples import SILENT_PEAK
from asrlab.environment import installed_version
from asrlab.errors import EngineUnavailableError, WeightsError
from asrlab.installation import install_command
from asrlab.vad.detector import FRAME_SAMPLES, EnergyVad, VadInfo, VadStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from asrlab.vad.detector import VoiceActivityDetector

_log = logging.getLogger("asrlab.vad")

_MODEL_FILES = (
    ("faster_whisper", "assets/silero_vad_v6.onnx"),
    ("silero_vad", "data/silero_vad_16k_sequence.onnx"),
    ("silero_vad", "data/silero_vad.onnx"),
    ("silero_vad", "data/silero_vad_16k_op15.onnx"),
)
_DISTRIBUTIONS = {"faster_whisper": "faster-whisper", "silero_vad": "silero-vad"}
_CONTEXT_SAMPLES = 64
_SAMPLE_RATE = 16_000
_SPEECH_DB = -25.0
"""Loudness of ordinary speech in dB of full scale. Source: the mean of FLEURS and LJ Speech is -24."""


def silero_files() -> tuple[Path, ...]:
    """Return the model files in the installed packages, best first, without importing the packages."""
    folders = {package: _package_folder(package) for package in _DISTRIBUTIONS}
    paths = (folder / name for package, name in _MODEL_FILES if (folder := folders[package]))
    return tuple(path for path in paths if path.is_file())


class SileroVad:
    """Silero's voice activity model, version 5 or 6, at 16 kHz on one CPU thread.

    Args:
        path: ONNX file that takes a sequence of frames, or one frame at a time.

    Raises:
        EngineUnavailableError: If onnxruntime is not installed.
        WeightsError: If the file cannot be loaded, or contains another model.
    """

    def __init__(self, path: Path) -> None:
        self._session = _session(path)
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        if not {"input", "h", "c"} <= self._inputs and not {"input", "state"} <= self._inputs:
            inputs = ", ".join(sorted(self._inputs))
            message = f"{path} is not a Silero voice activity model: its inputs are {inputs}; give another file"
            raise WeightsError(message, model=str(path))
        self.info = VadInfo(name=path.stem, source=_source(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    def start(self) -> VadStream:
        """Start a recording."""
        if "h" in self._inputs:
            return VadStream(_SequenceScorer(self._session))
        return VadStream(_FrameByFrameScorer(self._session, takes_rate="sr" in self._inputs))

    def rescore(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Score *samples* without state from earlier audio, amplified to the loudness of ordinary speech.

        The model misses quiet speech, most of all after loud speech. Amplified noise is still not taken for speech. The
        result is None for digital silence.
        """
        import numpy as np

        if not len(samples) or np.abs(samples).max() < SILENT_PEAK:
            return None
        stream = self.start()
        amplified = (samples * _gain(samples)).clip(-1, 1)
        return np.concatenate([stream.feed(amplified), stream.finish()])


class _SequenceScorer:
    """Scorer for files whose graph contains the loop over frames.

    Source: faster-whisper 1.2.1, vad.py, ``SileroVADModel``: the last 64 samples of the previous frame precede each
    frame, and the two states of the LSTM are passed from call to call.
    """

    def __init__(self, session: Any) -> None:
        import numpy as np

        self._session = session
        self._h = self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros((1, _CONTEXT_SAMPLES), np.float32)

    def score(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of speech in each of *frames*."""
        inputs, self._context = _with_context(frames, self._context)
        output, self._h, self._c = self._session.run(None, {"input": inputs, "h": self._h, "c": self._c})
        probabilities: NDArray[np.float32] = output.reshape(-1)
        return probabilities


class _FrameByFrameScorer:
    """Scorer for files that take one frame per call.

    Source: silero-vad 6.2.3, utils_vad.py, ``OnnxWrapper``.
    """

    def __init__(self, session: Any, *, takes_rate: bool) -> None:
        import numpy as np

        self._session = session
        self._rate = {"sr": np.array(_SAMPLE_RATE, np.int64)} if takes_rate else {}
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros((1, _CONTEXT_SAMPLES), np.float32)

    def score(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of speech in each of *frames*."""
        import numpy as np

        inputs, self._context = _with_context(frames, self._context)
        return np.array([self._score_frame(frame) for frame in inputs], np.float32)

    def _score_frame(self, frame: NDArray[np.float32]) -> float:
        inputs = {"input": frame[None], "state": self._state, **self._rate}
        output, self._state = self._session.run(None, inputs)
        return float(output[0, 0])


def _with_context(
    frames: NDArray[np.float32], context: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return *frames*, each preceded by the end of the previous frame, and the context for the next call."""
    import numpy as np

    ends = frames[:, FRAME_SAMPLES - _CONTEXT_SAMPLES :]
    return np.concatenate([np.concatenate([context, ends[:-1]]), frames], axis=1), ends[-1:].copy()


def _gain(samples: NDArray[np.float32]) -> np.float32:
    """Return the factor that makes the louder frames of *samples* as loud as speech; at least 1."""
    import numpy as np

    end = max(1, len(samples) // FRAME_SAMPLES) * FRAME_SAMPLES
    loudness = float(np.percentile(samples[:end].reshape(-1, min(FRAME_SAMPLES, len(samples))).std(axis=1), 95))
    return np.float32(max(1.0, 10 ** (_SPEECH_DB / 20) / max(loudness, SILENT_PEAK)))


def _session(path: Path) -> Any:
    try:
        import onnxruntime  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        install = install_command("onnxruntime")
        message = f"the voice activity model {path.name} needs onnxruntime ({error}); run: {install}"
        raise EngineUnavailableError(message, install=install) from error
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1  # an LSTM over small frames does not gain from more
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"], sess_options=options)
    except Exception as error:  # onnxruntime's errors share no other base class
        message = f"cannot load the voice activity model {path}: {error}; reinstall the package that contains it"
        raise WeightsError(message, model=str(path)) from error


def _package_folder(package: str) -> Path | None:
    """Return the folder of *package* without importing it; None if it is not installed."""
    try:
        spec = util.find_spec(package)
    except ValueError:  # a substitute without a spec is in sys.modules
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _source(path: Path) -> str:
    """Return the distribution and version that *path* belongs to, or its folder."""
    distribution = _DISTRIBUTIONS.get(path.parent.parent.name)
    if distribution is None:
        return str(path.parent)
    return f"{distribution} {installed_version(distribution) or ''}".rstrip()


def load_vad(*, files: Sequence[Path] | None = None) -> VoiceActivityDetector:
    """Load Silero's model from an installed package, or fall back to a detector by loudness; ``info`` tells which.

    Nothing is downloaded. A file that cannot be loaded is skipped, with a warning in the log.

    Args:
        files: Model files to try, best first; None looks into faster-whisper, then silero-vad.
    """
    for path in silero_files() if files is None else files:
        try:
            return SileroVad(path)
        except (EngineUnavailableError, WeightsError) as error:
            _log.warning("%s", error)
    _log.info("no voice activity model is installed; long audio is cut where it is least loud")
    return EnergyVad()
