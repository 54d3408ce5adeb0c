"""Loads the model that the wheel of pocketsphinx carries."""

from __future__ import annotations

import hashlib
from pathlib import Path

import attrs
import pocketsphinx

from asrlab import Capabilities, DeviceReport, ModelInfo, OptionError, TranscriberInfo, WeightsError
from asrlab.audio import SAMPLE_RATE
from asrlab.plugin import LoadRequest
from asrlab.vad import load_vad
from asrlab_pocketsphinx.recognizer import PocketSphinxRecognizer

__all__ = ["devices", "load"]


def devices() -> DeviceReport:
    """Report the CPU, the only device."""
    reason = "PocketSphinx runs on the cpu"
    return DeviceReport(available=("cpu",), missing=(("cuda", reason), ("mps", reason)))


def load(request: LoadRequest) -> PocketSphinxRecognizer:
    """Load the acoustic model, the language model and the dictionary.

    Raises:
        OptionError: More than one thread is asked for.
        WeightsError: The files in the wheel are missing or cannot be read.
    """
    if request.threads not in (None, 1):
        raise OptionError(
            f"PocketSphinx decodes on one thread, not {request.threads}; leave threads out, or run several processes",
            option="threads",
            supported=("1",),
        )
    folder = Path(pocketsphinx.get_model_path("en-us"))
    model = _facts(request.model, folder)
    info = TranscriberInfo(
        model=model,
        device=request.device,
        compute_type="int16",
        threads=1,
        capabilities=Capabilities(languages=("en",), word_timestamps=True),
        packages=request.packages,
    )
    return PocketSphinxRecognizer(info, _decoder(folder), vad=load_vad())


def _decoder(folder: Path) -> pocketsphinx.Decoder:
    try:
        return pocketsphinx.Decoder(
            hmm=str(folder / "en-us"),
            lm=str(folder / "en-us.lm.bin"),
            dict=str(folder / "cmudict-en-us.dict"),
            samprate=float(SAMPLE_RATE),
            loglevel="FATAL",  # it writes to standard error otherwise; what fails is raised
        )
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"PocketSphinx cannot load its model from {folder} ({error}); reinstall it: "
            "pip install --force-reinstall pocketsphinx",
            model="pocketsphinx/en-us",
        ) from error


def _facts(model: ModelInfo, folder: Path) -> ModelInfo:
    """Return *model* with the checksum of all files of the decoder, in the order of their names."""
    digest = hashlib.sha256()
    names = (
        "cmudict-en-us.dict",
        "en-us.lm.bin",
        *(f"en-us/{path.name}" for path in sorted((folder / "en-us").glob("*"))),
    )
    try:
        for name in names:
            digest.update(f"{name}\0".encode())
            digest.update((folder / name).read_bytes())
    except OSError as error:
        raise WeightsError(
            f"the wheel of pocketsphinx lacks {error.filename}; reinstall it: "
            "pip install --force-reinstall pocketsphinx",
            model=model.name,
        ) from error
    return attrs.evolve(model, weights_sha256=digest.hexdigest(), weights_source="the wheel of pocketsphinx")
