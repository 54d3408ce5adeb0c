"""The plugin on the device MPS, as asrlab simulates it on the CPU."""

from __future__ import annotations

from pathlib import Path

import asrlab
from asrlab.testing import SimulatedProcess

pytest_plugins = ["asrlab.testing.pytest_plugin"]


def transcribed(folder: Path, device: str, clip: str) -> tuple[str, str, str]:
    """The text, the device reported and the device of the parameters."""
    with asrlab.load(f"transformers/{folder}", device=device) as transcriber:
        transcript = transcriber.transcribe(clip)
        kind = transcriber._pipe.model.device.type  # noqa: SLF001 - where they really are
    return transcript.text, str(transcript.device), kind


def test_whisper_on_the_simulated_device_writes_the_cpus_text(
    base_folder: Path, simulated_mps_process: SimulatedProcess
):
    """Every tensor is on the device, which has every kernel that is called, and the text is the CPU's."""
    clip = str(list(asrlab.evaluation.load_dataset("smoke"))[1].audio)
    text, device, kind = simulated_mps_process.run(transcribed, base_folder, "mps", clip)
    report = simulated_mps_process.report()
    assert (device, kind) == ("mps (simulated)", "mps")
    assert text == "He was not an ill-disposed young man."  # as test_whisper.py has it on the CPU
    assert not report.without_kernel, report.table()


def test_a_ctc_model_on_the_simulated_device_writes_the_cpus_text(
    ctc_folder: Path, simulated_mps_process: SimulatedProcess
):
    """The second kind of model too."""
    clip = str(list(asrlab.evaluation.load_dataset("smoke"))[1].audio)
    text, *where = simulated_mps_process.run(transcribed, ctc_folder, "mps", clip)
    assert where == ["mps (simulated)", "mps"]
    assert text == transcribed(ctc_folder, "cpu", clip)[0]
