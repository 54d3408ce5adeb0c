"""The echo engine: one word a second, ``silence``, ``quiet`` or ``loud``, for tests and documentation."""

from __future__ import annotations

from collections.abc import Iterator

from asrlab.audio import SAMPLE_RATE, AudioReader
from asrlab.device import DeviceReport
from asrlab.engine.contract import Recognition, Recognizer, TranscriberInfo
from asrlab.engine.spec import EngineSpec, LoadRequest, ModelSpec
from asrlab.options import Capabilities, TranscribeOptions
from asrlab.plugins.hookspecs import hookimpl
from asrlab.transcript import Segment, Word

__all__ = ["SPEC", "asrlab_engines"]

SILENCE_DBFS = -60.0
QUIET_DBFS = -30.0
SPEC = EngineSpec(
    name="echo",
    factory="asrlab.engines.echo:load",
    devices="asrlab.engines.echo:devices",
    models=(ModelSpec(name="echo", description="Names how loud each second is; for tests and documentation"),),
    default_model="echo",
    compute_types=("float32",),
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """Return the echo engine."""
    return [SPEC]


class EchoRecognizer(Recognizer):
    """Recognizer that names the loudness of each second, reading a second at a time so that memory stays flat."""

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Return a segment per second; the last is shorter."""
        return Recognition(segments=_segments(audio, words=options.word_timestamps), language=options.language or "en")

    def release(self) -> None:
        """Do nothing: there are no weights."""


def _segments(audio: AudioReader, *, words: bool) -> Iterator[Segment]:
    import numpy as np

    start = 0.0
    for block in audio.blocks(block_s=1.0):
        end = start + len(block) / SAMPLE_RATE
        rms = float(np.sqrt(np.mean(np.square(block, dtype=np.float64))))
        level_dbfs = 20 * np.log10(max(rms, 1e-10))
        text = "silence" if level_dbfs < SILENCE_DBFS else "quiet" if level_dbfs < QUIET_DBFS else "loud"
        timed = (Word(text=text, start=start, end=end, probability=1.0),) if words else None
        yield Segment(text=text, start=start, end=end, words=timed)
        start = end


def devices() -> DeviceReport:
    """Return the CPU as the only device."""
    reason = "echo runs on the cpu"
    return DeviceReport(available=("cpu",), missing=(("cuda", reason), ("mps", reason)))


def load(request: LoadRequest) -> EchoRecognizer:
    """Load the echo engine."""
    info = TranscriberInfo(
        model=request.model,
        device=request.device,
        compute_type="float32",
        threads=1,
        capabilities=Capabilities(word_timestamps=True),
        packages=request.packages,
    )
    return EchoRecognizer(info)
