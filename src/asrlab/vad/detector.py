"""Voice activity detectors, by Silero's neural model or by loudness: one probability of speech per frame of 32 ms."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from asrlab._lazy import np
from asrlab._version import __version__
from asrlab.audio import SAMPLE_RATE
from asrlab.audio.samples import SILENT_PEAK
from asrlab.environment import installed_version
from asrlab.errors import EngineUnavailableError, WeightsError
from asrlab.installation import install_command
from asrlab.upstream import find_upstream

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = logging.getLogger("asrlab.vad")

FRAME_SAMPLES = 512
"""Samples at 16 kHz per probability: 32 ms. Source: Silero's models accept no other number."""
_GROUP_FRAMES = 32
"""Frames that are scored at once: a second. More gains no speed."""

_MIN_FLOOR_DB = -70.0
"""Lowest noise floor in dB of full scale: the noise of a quiet room in a good recording."""
_INAUDIBLE_DB = -80.0
"""Level below which not even `EnergyVad.rescore` finds speech, as `asrlab.audio.samples.SILENT_PEAK`."""
_INITIAL_FLOOR_DB = -60.0
"""Initial noise floor. Recordings often begin in the middle of a word, so the first frame need not be noise."""
_FLOOR_RISE_DB = 2.0 * FRAME_SAMPLES / SAMPLE_RATE
"""Rise of the floor per frame: 2 dB a second. Speech dips to the noise several times a second and cannot lift it."""
_SPEECH_ABOVE_FLOOR_DB = 10.0
"""Level above the floor at which a frame is as likely speech as not."""
_SLOPE_DB = 2.0
_MODEL_FILES = (
    ("faster_whisper", "assets/silero_vad_v6.onnx"),
    ("silero_vad", "data/silero_vad_16k_sequence.onnx"),
    ("silero_vad", "data/silero_vad.onnx"),
    ("silero_vad", "data/silero_vad_16k_op15.onnx"),
)
_DISTRIBUTIONS = {"faster_whisper": "faster-whisper", "silero_vad": "silero-vad"}
_CONTEXT_SAMPLES = 64
_SPEECH_DB = -25.0
"""Loudness of ordinary speech in dB of full scale. Source: the mean of FLEURS and LJ Speech is -24."""


@attrs.frozen(kw_only=True)
class VadInfo:
    """Identity of a voice activity detector.

    Attributes:
        name: Name of the model's file without its ending, or ``energy``.
        source: Distribution that the model comes from, with its version.
        sha256: SHA-256 of the model's file; None for a detector without a model.
    """

    name: str
    source: str
    sha256: str | None = None

    def __str__(self) -> str:
        return f"{self.name} of {self.source}"


type FrameScorer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Scorer of the frames of one recording in order: shape (k, 512) in, probabilities of speech, shape (k,), out."""


class VoiceActivityDetector(Protocol):
    """Voice activity detector, which any number of recordings and threads may use at once."""

    @property
    def info(self) -> VadInfo:
        """Identity of the detector."""
        ...

    def start(self) -> VadStream:
        """Start a recording."""
        ...

    def rescore(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Score *samples*, in which the stream found no speech, by themselves; None if this cannot find more."""
        ...


class VadStream:
    """Probabilities of speech in one recording, independent of the blocks in which its samples arrive.

    Frames are scored in groups of a fixed size: the last digits of a model's output may differ with the number of
    frames, and a cut must not depend on how a file was read.
    """

    def __init__(self, score: FrameScorer) -> None:
        self._score = score
        self._pending: list[NDArray[np.float32]] = []
        self._samples = 0

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add *samples*, float32 at 16 kHz, and return the probabilities of the seconds that are complete."""
        self._pending.append(samples)
        self._samples += len(samples)
        size = _GROUP_FRAMES * FRAME_SAMPLES
        if self._samples < size:
            return np.empty(0, np.float32)
        pending = np.concatenate(self._pending)
        end = len(pending) // size * size
        self._pending, self._samples = [pending[end:]], len(pending) - end
        groups = pending[:end].reshape(-1, _GROUP_FRAMES, FRAME_SAMPLES)
        return np.concatenate([self._score(group) for group in groups])

    def finish(self) -> NDArray[np.float32]:
        """Return the probabilities of the remaining samples, shape (k,); the last frame is padded with silence."""
        frames = -(-self._samples // FRAME_SAMPLES)
        if not frames:
            return np.empty(0, np.float32)
        padding = np.zeros(frames * FRAME_SAMPLES - self._samples, np.float32)
        remaining = np.concatenate([*self._pending, padding])
        self._pending, self._samples = [], 0
        return self._score(remaining.reshape(frames, FRAME_SAMPLES))


class EnergyVad:
    """Detector that takes for speech any sound 10 dB louder than the quietest sound of the last seconds.

    Music and other noise that comes and goes is taken for speech; steady noise counts as silence after a few seconds.

    Source: the idea of following the minimum of the energy, R. Martin, "Noise power spectral density estimation based
    on optimal smoothing and minimum statistics" (2001); the numbers are asrlab's own.
    """

    @property
    def info(self) -> VadInfo:
        """Identity of the detector: asrlab's own."""
        return VadInfo(name="energy", source=f"asrlab {__version__}")

    def start(self) -> VadStream:
        """Start a recording."""
        floor_db = _INITIAL_FLOOR_DB

        def score(frames: NDArray[np.float32]) -> NDArray[np.float32]:
            nonlocal floor_db
            above_db = []
            for level_db in _levels_db(frames).tolist():
                floor_db = max(min(level_db, floor_db + _FLOOR_RISE_DB), _MIN_FLOOR_DB)
                above_db.append(level_db - floor_db)
            return _to_probabilities(np.array(above_db))

        return VadStream(score)

    def rescore(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Score *samples* with the quieter frames as the floor, so that quiet speech in a quiet room stands out."""
        frames, rest = divmod(len(samples), FRAME_SAMPLES)
        if not frames:
            return None
        levels = np.maximum(_levels_db(samples[: frames * FRAME_SAMPLES].reshape(frames, FRAME_SAMPLES)), _INAUDIBLE_DB)
        probabilities = _to_probabilities(levels - np.percentile(levels, 10))
        return np.pad(probabilities, (0, int(rest > 0)), mode="edge")


def _levels_db(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the level of each frame in dB of full scale, without the frame's DC offset."""
    levels: NDArray[np.float64] = 10 * np.log10(frames.var(axis=1, dtype=np.float64) + 1e-12)
    return levels


def _to_probabilities(above_db: NDArray[np.float64]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp((_SPEECH_ABOVE_FLOOR_DB - above_db) / _SLOPE_DB))).astype(np.float32)


def silero_files() -> tuple[Path, ...]:
    """Return the model files in the installed packages, best first, without importing the packages."""
    folders: dict[str, Path] = {}
    for package in _DISTRIBUTIONS:
        with suppress(ValueError):  # a substitute without a spec is in sys.modules
            if (spec := find_upstream(package)) is not None and spec.origin:
                folders[package] = Path(spec.origin).parent
    paths = [folders[package] / name for package, name in _MODEL_FILES if package in folders]
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
        source = str(path.parent)
        if distribution := _DISTRIBUTIONS.get(path.parent.parent.name):
            source = f"{distribution} {installed_version(distribution) or ''}".rstrip()
        self.info = VadInfo(name=path.stem, source=source, sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    def start(self) -> VadStream:
        """Start a recording."""
        return VadStream(_SileroScorer(self._session, self._inputs))

    def rescore(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Score *samples* without state from earlier audio, amplified to the loudness of ordinary speech.

        The model misses quiet speech, most of all after loud speech. Amplified noise is still not taken for speech. The
        result is None for digital silence.
        """
        if not len(samples) or np.abs(samples).max() < SILENT_PEAK:
            return None
        # the gain that makes the louder frames as loud as speech; at least 1
        end = max(1, len(samples) // FRAME_SAMPLES) * FRAME_SAMPLES
        loudness = float(np.percentile(samples[:end].reshape(-1, min(FRAME_SAMPLES, len(samples))).std(axis=1), 95))
        gain = np.float32(max(1.0, 10 ** (_SPEECH_DB / 20) / max(loudness, SILENT_PEAK)))
        stream = self.start()
        return np.concatenate([stream.feed((samples * gain).clip(-1, 1)), stream.finish()])


class _SileroScorer:
    """Scorer that passes the state of the LSTM, and the end of the previous frame, from call to call.

    Source: faster-whisper 1.2.1, vad.py, ``SileroVADModel``, for files whose graph contains the loop over frames;
    silero-vad 6.2.3, utils_vad.py, ``OnnxWrapper``, for files that take one frame per call.
    """

    def __init__(self, session: Any, inputs: frozenset[str]) -> None:
        self._session = session
        self._is_loop = "h" in inputs
        shapes = {"h": (1, 1, 128), "c": (1, 1, 128)} if self._is_loop else {"state": (2, 1, 128)}
        self._states = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self._rate = {"sr": np.array(SAMPLE_RATE, np.int64)} if "sr" in inputs else {}
        self._context = np.zeros((1, _CONTEXT_SAMPLES), np.float32)

    def __call__(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        ends = frames[:, FRAME_SAMPLES - _CONTEXT_SAMPLES :]
        inputs = np.concatenate([np.concatenate([self._context, ends[:-1]]), frames], axis=1)
        self._context = ends[-1:].copy()
        probabilities = []
        for batch in [inputs] if self._is_loop else inputs[:, None]:
            output, *states = self._session.run(None, {"input": batch, **self._states, **self._rate})
            self._states = dict(zip(self._states, states, strict=True))
            probabilities.append(output.reshape(-1))
        return np.concatenate(probabilities)


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


def load_vad(*, files: Sequence[Path] | None = None) -> VoiceActivityDetector:
    """Load Silero's model from an installed package, or fall back to a detector by loudness; ``info`` tells which.

    Nothing is downloaded. *files* are tried in order; None looks into faster-whisper, then silero-vad. A file that
    cannot be loaded is skipped, with a warning in the log.
    """
    for path in silero_files() if files is None else files:
        try:
            return SileroVad(path)
        except (EngineUnavailableError, WeightsError) as error:
            _log.warning("%s", error)
    _log.info("no voice activity model is installed; long audio is cut where it is least loud")
    return EnergyVad()
