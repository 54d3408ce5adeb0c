"""A process that transcribes a number of clips once and prints time and memory as JSON."""

from __future__ import annotations

import argparse
import json
import time

import asrlab
from asrlab.evaluation.metrics import peak_resident_bytes

__all__ = ["main"]

MODEL = "faster-whisper/tiny.en"


def main() -> None:
    """Load the model, warm up with the embedded clips, and time *clips* clips without storing transcripts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", type=int)
    count = parser.parse_args().clips
    speech = [utterance.audio for utterance in asrlab.evaluation.load_dataset("smoke")]
    with asrlab.load(MODEL, device="cpu", offline=True) as transcriber:
        transcriber.calibration = None
        for outcome in transcriber.transcribe_many(speech):
            outcome.unwrap()
        wall, cpu = time.perf_counter(), time.process_time()
        paths: dict[str, int] = {}
        for outcome in transcriber.transcribe_many(speech[index % len(speech)] for index in range(count)):
            path = str(outcome.unwrap().decoding)
            paths[path] = paths.get(path, 0) + 1
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"clips": count, "wall": wall, "cpu": cpu, "peak_bytes": peak_resident_bytes(), "paths": paths}))


if __name__ == "__main__":
    main()
