"""Read segments as they come, and stop where a word is said.

Run ``python examples/stream_segments.py`` for clips that come with asrlab, joined to one recording, or with a long
file of yours; with ``--until WORD`` what comes after that word is never transcribed.
"""

import argparse
import sys
import time

import numpy as np

import asrlab


def main() -> int | str:
    """Print each segment with the moment at which it was there; 1 if the word was not said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--until", metavar="WORD", help="stop after the first segment with it")
    arguments = parser.parse_args()
    audio = arguments.file or joined_clips(rounds=3)
    try:
        with asrlab.load("faster-whisper/base") as transcriber, transcriber.stream(audio, language="en") as stream:
            start = time.monotonic()
            for segment in stream:
                spent = time.monotonic() - start
                print(f"after {spent:5.2f} s: {segment.start:6.2f} {segment.end:6.2f}  {segment.text}", flush=True)
                if arguments.until and arguments.until.lower() in segment.text.lower():
                    return 0
            print(f"{stream.transcript.duration:.2f} s of audio in {stream.transcript.timings.total:.2f} s")
    except asrlab.AsrlabError as error:
        return f"error: {error}"
    return int(bool(arguments.until))


def joined_clips(*, rounds: int) -> asrlab.Audio:
    """Join the embedded clips one after another, several times: longer than Whisper's window of 30 s."""
    clips = [asrlab.load_audio(utterance.audio) for utterance in asrlab.evaluation.load_dataset("smoke")] * rounds
    return asrlab.Audio(samples=np.concatenate([clip.samples for clip in clips]), sample_rate=clips[0].sample_rate)


if __name__ == "__main__":
    sys.exit(main())
