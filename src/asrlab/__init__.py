"""asrlab: one `Transcriber` API over any speech-to-text engine, with evidence.

::

    import asrlab

    with asrlab.load("faster-whisper/base") as transcriber:
        print(transcriber.transcribe("speech.wav").text)

Importing asrlab loads no dependency. Each public name is imported when it is first used. `asrlab.plugin` has the names
for authors of engines, `asrlab.patches` those for changes to other packages, `asrlab.evaluation` those for data sets,
runs and reports.
"""

from asrlab._lazy import attach
from asrlab._version import __version__ as __version__

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "asrlab.audio": "Audio AudioFile load_audio",
        "asrlab.audio.types": "AudioTrack AudioWarning",
        "asrlab.batching": "HasAudio",
        "asrlab.device": "Device DeviceReport",
        "asrlab.engine.contract": "TranscriberInfo",
        "asrlab.engine.transcriber": "SegmentStream Transcriber",
        "asrlab.errors": "AsrlabError AudioError DatasetError DeviceUnavailableError EngineNotFoundError"
        " EngineUnavailableError OptionError OutputError PatchError WeightsError",
        "asrlab.loading": "list_models load weights_path",
        "asrlab.options": "Batching Capabilities TranscribeOptions",
        "asrlab.plugins.registry": "ResolvedModel",
        "asrlab.transcript": "DecodingPath ModelInfo PackageVersion PatchStatus Segment SubtitleLayout Timings"
        " TranscribeResult Transcript TranscriptWarning Word",
        "asrlab.tuning.calibration": "Calibration CalibrationKey Trial",
        "asrlab.tuning.tune": "tune",
    },
    submodules="evaluation patches plugin",
)
