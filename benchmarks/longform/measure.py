"""A process that transcribes the recording in one way and prints the result as JSON."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asrlab
from asrlab.evaluation.metrics import peak_resident_bytes

from .recording import RATE, Joined, join

__all__ = ["WAYS", "main"]

MODEL = "faster-whisper/base"
DecodedRecording = dict[str, Any]
Work = Callable[[Joined, bool], DecodedRecording]


def main() -> None:
    """Load the model, warm up with a clip, and time the work on the whole recording."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=tuple(WAYS))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--words", action="store_true")
    arguments = parser.parse_args()
    work = WAYS[arguments.way](arguments.threads)
    work(join(arguments.folder, seconds=4.0), arguments.words)
    joined = join(arguments.folder, seconds=arguments.seconds)
    wall, cpu = time.perf_counter(), time.process_time()
    result = work(joined, arguments.words)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "peak_bytes": peak_resident_bytes(), **result}))


def _raw(threads: int, *, pipeline: bool) -> Work:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    weights = asrlab.weights_path(MODEL, offline=True)
    model = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=threads)
    engine: Any = BatchedInferencePipeline(model) if pipeline else model

    def work(joined: Joined, words: bool) -> DecodedRecording:  # noqa: FBT001 - the signature of Work
        segments = list(engine.transcribe(joined.samples, word_timestamps=words)[0])
        timed = [(word.word, word.start, word.end) for segment in segments for word in segment.words or ()]
        spans = [(segment.start, segment.end) for segment in segments]
        return {"text": " ".join(segment.text.strip() for segment in segments), "words": timed, "segments": spans}

    return work


def _asrlab(threads: int) -> Work:
    transcriber = asrlab.load(MODEL, device="cpu", threads=threads, offline=True)
    transcriber.calibration = None

    def work(joined: Joined, words: bool) -> DecodedRecording:  # noqa: FBT001 - the signature of Work
        (outcome,) = transcriber.transcribe_many([joined.samples], sample_rate=RATE, word_timestamps=words)
        transcript = outcome.unwrap()
        timed = [(word.text, word.start, word.end) for word in transcript.words or ()]
        spans = [(segment.start, segment.end) for segment in transcript.segments]
        return {"text": transcript.text, "words": timed, "segments": spans, "path": str(transcript.decoding)}

    return work


WAYS: dict[str, Callable[[int], Work]] = {
    "raw, sequential": lambda threads: _raw(threads, pipeline=False),
    "raw, own batches": lambda threads: _raw(threads, pipeline=True),
    "asrlab": _asrlab,
}
"""Functions that load each way's model; the first way is the baseline."""


if __name__ == "__main__":
    main()
