"""asrlab: one `Transcriber` API over any speech-to-text engine, with evidence.

::

    import asrlab

    with asrlab.load("faster-whisper/base") as transcriber:
        print(transcriber.transcribe("speech.wav").text)

Importing asrlab loads nothing heavy; each name below is fetched from its room when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asrlab._version import __version__

if TYPE_CHECKING:
    from asrlab.audio import Audio, AudioFile, load_audio
    from asrlab.calibration import Calibration
    from asrlab.device import Device, DeviceReport
    from asrlab.errors import (
        AsrlabError,
        AudioError,
        DatasetError,
        DeviceUnavailableError,
        EngineNotFoundError,
        EngineUnavailableError,
        OptionError,
        OutputError,
        PatchError,
        WeightsError,
    )
    from asrlab.evaluation.datasets import Dataset, DatasetSpec, Utterance
    from asrlab.evaluation.reports.comparison import compare
    from asrlab.evaluation.reports.html.report import Report, report
    from asrlab.evaluation.reports.scoring import score
    from asrlab.evaluation.runs.bench import bench, resume
    from asrlab.evaluation.runs.reading import read_run
    from asrlab.loading import list_models, load, load_dataset, weights_path
    from asrlab.options import Batching, Capabilities, TranscribeOptions
    from asrlab.patches import Need, Patch, PatchScope
    from asrlab.patching import install_patches, patched
    from asrlab.plugins.hookspecs import hookimpl
    from asrlab.recognition import Recognition, TranscriberInfo
    from asrlab.spec import PLUGIN_API, EngineSpec, LoadRequest, ModelSpec
    from asrlab.transcriber import SegmentStream, Transcriber
    from asrlab.transcript import (
        ModelInfo,
        Outcome,
        PatchStatus,
        Segment,
        SubtitleLayout,
        Timings,
        Transcript,
        TranscriptWarning,
        Word,
    )
    from asrlab.tuning import tune

_ROOMS = {
    "audio": ("Audio", "AudioFile", "load_audio"),
    "calibration": ("Calibration",),
    "datasets": ("Dataset", "DatasetSpec", "Utterance"),
    "device": ("Device", "DeviceReport"),
    "errors": (
        "AsrlabError",
        "AudioError",
        "DatasetError",
        "DeviceUnavailableError",
        "EngineNotFoundError",
        "EngineUnavailableError",
        "OptionError",
        "OutputError",
        "PatchError",
        "WeightsError",
    ),
    "loading": ("list_models", "load", "load_dataset", "weights_path"),
    "options": ("Batching", "Capabilities", "TranscribeOptions"),
    "patches": ("Need", "Patch", "PatchScope"),
    "patching": ("install_patches", "patched"),
    "plugins.hookspecs": ("hookimpl",),
    "recognition": ("Recognition", "TranscriberInfo"),
    "reports.comparison": ("compare",),
    "reports.html.report": ("Report", "report"),
    "reports.scoring": ("score",),
    "runs.bench": ("bench", "resume"),
    "runs.reading": ("read_run",),
    "spec": ("PLUGIN_API", "EngineSpec", "LoadRequest", "ModelSpec"),
    "transcriber": ("SegmentStream", "Transcriber"),
    "transcript": (
        "ModelInfo",
        "Outcome",
        "PatchStatus",
        "Segment",
        "SubtitleLayout",
        "Timings",
        "Transcript",
        "TranscriptWarning",
        "Word",
    ),
    "tuning": ("tune",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "PLUGIN_API",
    "AsrlabError",
    "Audio",
    "AudioError",
    "AudioFile",
    "Batching",
    "Calibration",
    "Capabilities",
    "Dataset",
    "DatasetError",
    "DatasetSpec",
    "Device",
    "DeviceReport",
    "DeviceUnavailableError",
    "EngineNotFoundError",
    "EngineSpec",
    "EngineUnavailableError",
    "LoadRequest",
    "ModelInfo",
    "ModelSpec",
    "Need",
    "OptionError",
    "Outcome",
    "OutputError",
    "Patch",
    "PatchError",
    "PatchScope",
    "PatchStatus",
    "Recognition",
    "Report",
    "Segment",
    "SegmentStream",
    "SubtitleLayout",
    "Timings",
    "TranscribeOptions",
    "Transcriber",
    "TranscriberInfo",
    "Transcript",
    "TranscriptWarning",
    "Utterance",
    "WeightsError",
    "Word",
    "__version__",
    "bench",
    "compare",
    "hookimpl",
    "install_patches",
    "list_models",
    "load",
    "load_audio",
    "load_dataset",
    "patched",
    "read_run",
    "report",
    "resume",
    "score",
    "tune",
    "weights_path",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'asrlab' has no attribute {name!r}")
    value = getattr(import_module(f"asrlab.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
