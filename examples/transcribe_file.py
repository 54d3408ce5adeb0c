"""Transcribe one file and say what did it.

Run ``python examples/transcribe_file.py`` for a clip that comes with asrlab, or with a file of yours, of any format;
``--words`` times each word.
"""

import argparse
import sys

import asrlab


def main() -> int | str:
    """Print the segments with their times, then the facts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=next(iter(asrlab.evaluation.load_dataset("smoke"))).audio)
    parser.add_argument("--model", default="faster-whisper/base", help="default: %(default)s")
    parser.add_argument("--words", action="store_true", help="time each word")
    arguments = parser.parse_args()
    try:
        with asrlab.load(arguments.model) as transcriber:
            transcript = transcriber.transcribe(arguments.file, word_timestamps=arguments.words)
    except asrlab.AsrlabError as error:
        return f"error: {error}"

    for segment in transcript.segments:
        print(f"{segment.start:7.2f} {segment.end:7.2f}  {segment.text}")
        for word in segment.words or ():
            print(f"{word.start:9.2f} {word.end:7.2f}  {word.text}")
    print(f"language  {transcript.language}")
    print(f"audio     {transcript.duration:.2f} s, transcribed in {transcript.timings.total:.2f} s")
    print(f"device    {transcript.device.resolved}, {transcript.compute_type}")
    print(f"weights   {transcript.model.name}, sha256 {transcript.model.weights_sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
