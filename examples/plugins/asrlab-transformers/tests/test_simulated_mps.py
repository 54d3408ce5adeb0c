"""The plugin on the simulated MPS device."""

from __future__ import annotations

from pathlib import Path

import asrlab
from asrlab.testing import SimulatedProcess

pytest_plugins = ["asrlab.testing.pytest_plugin"]


def transcribe(folder: Path, device: str, clip: str) -> tuple[str, str, str]:
    """Return the text, the reported device and the device of the parameters."""
    with asrlab.load(f"transformers/{folder}", device=device) as transcriber:
        transcript = transcriber.transcribe(clip)
        kind = transcriber.recognizer._pipe.model.device.type  # noqa: SLF001 - the actual device
    return transcript.text, str(transcript.device), kind


def test_whisper_on_the_simulated_device_has_the_cpus_text(base_folder: Path, simulated_mps_process: SimulatedProcess):
    """The parameters are on the device, every called operator has a kernel, and the text is the CPU's."""
    clip = str(list(asrlab.evaluation.load_dataset("smoke"))[1].audio)
    text, device, kind = simulated_mps_process.run(transcribe, base_folder, "mps", clip)
    report = simulated_mps_process.report()
    assert (device, kind) == ("mps (simulated)", "mps")
    assert text == "He was not an ill-disposed young man."  # the CPU's text, as in test_whisper.py
    assert not report.without_kernel, report.table()


def test_a_ctc_model_on_the_simulated_device_has_the_cpus_text(
    ctc_folder: Path, simulated_mps_process: SimulatedProcess
):
    """A CTC model runs on the device, and its text is the CPU's."""
    clip = str(list(asrlab.evaluation.load_dataset("smoke"))[1].audio)
    text, *devices = simulated_mps_process.run(transcribe, ctc_folder, "mps", clip)
    assert devices == ["mps (simulated)", "mps"]
    assert text == transcribe(ctc_folder, "cpu", clip)[0]
