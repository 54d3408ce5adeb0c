"""Transcribe audio while it comes, a sentence or two at a time, cut at pauses; memory stays flat.

Run ``python examples/live_loop.py`` for clips that come with asrlab, or with a file of any length. The file plays the
part of a microphone: what matters is that `arriving` yields blocks of float32 samples at 16 kHz, of any lengths.
"""

import argparse
import sys
import time
from collections.abc import Iterator

import numpy as np

import asrlab
from asrlab.audio import SAMPLE_RATE, open_audio
from asrlab.vad import Chunker, load_vad


def arriving(file: str | None) -> Iterator[np.ndarray]:
    """Yield half a second of audio at a time, as a microphone gives it."""
    for source in [file] if file else [utterance.audio for utterance in asrlab.evaluation.load_dataset("smoke")]:
        with open_audio(source) as reader:
            yield from reader.blocks(block_s=0.5)
        yield np.zeros(SAMPLE_RATE // 2, np.float32)


def main() -> int | str:
    """Print each piece with its times, and how far behind the speaker its text was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--longest", type=float, default=8.0, metavar="S", help="cut after, at most; default: 8")
    arguments = parser.parse_args()
    arrived_s = 0.0

    def counted(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal arrived_s
        for block in blocks:
            arrived_s += len(block) / SAMPLE_RATE
            yield block

    try:
        chunker = Chunker(vad=load_vad(), max_chunk_s=arguments.longest)
        with asrlab.load("faster-whisper/base") as transcriber:
            for piece in chunker.split(counted(arriving(arguments.file))):
                if not piece.has_speech:
                    continue  # a model makes text up for silence
                waited, start = arrived_s - piece.end, time.monotonic()
                text = transcriber.transcribe(piece.samples, sample_rate=SAMPLE_RATE, language="en").text
                behind = waited + time.monotonic() - start
                print(f"{piece.start:7.2f} {piece.end:7.2f}  {behind:4.1f} s behind  {text}", flush=True)
    except asrlab.AsrlabError as error:
        return f"error: {error}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
