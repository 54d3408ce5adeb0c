from asrlab import evaluation as evaluation, patches as patches, plugin as plugin
from asrlab._version import __version__ as __version__
from asrlab.audio import Audio as Audio, AudioFile as AudioFile, load_audio as load_audio
from asrlab.audio.types import AudioTrack as AudioTrack, AudioWarning as AudioWarning
from asrlab.batching import HasAudio as HasAudio
from asrlab.device import Device as Device, DeviceReport as DeviceReport
from asrlab.engine.contract import TranscriberInfo as TranscriberInfo
from asrlab.engine.transcriber import SegmentStream as SegmentStream, Transcriber as Transcriber
from asrlab.errors import (
    AsrlabError as AsrlabError,
    AudioError as AudioError,
    DatasetError as DatasetError,
    DeviceUnavailableError as DeviceUnavailableError,
    EngineNotFoundError as EngineNotFoundError,
    EngineUnavailableError as EngineUnavailableError,
    OptionError as OptionError,
    OutputError as OutputError,
    PatchError as PatchError,
    WeightsError as WeightsError,
)
from asrlab.loading import list_models as list_models, load as load, weights_path as weights_path
from asrlab.options import Batching as Batching, Capabilities as Capabilities, TranscribeOptions as TranscribeOptions
from asrlab.plugins.registry import ResolvedModel as ResolvedModel
from asrlab.transcript import (
    DecodingPath as DecodingPath,
    ModelInfo as ModelInfo,
    PackageVersion as PackageVersion,
    PatchStatus as PatchStatus,
    Segment as Segment,
    SubtitleLayout as SubtitleLayout,
    Timings as Timings,
    TranscribeResult as TranscribeResult,
    Transcript as Transcript,
    TranscriptWarning as TranscriptWarning,
    Word as Word,
)
from asrlab.tuning.calibration import Calibration as Calibration, CalibrationKey as CalibrationKey, Trial as Trial
from asrlab.tuning.tune import tune as tune
