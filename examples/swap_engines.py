"""Run the same code over several engines, asking each only for what it can do.

Run ``python examples/swap_engines.py`` for a clip that comes with asrlab, or with a file of yours; ``--models`` takes
others, such as those of plugins.
"""

import argparse
import sys

import asrlab

WANTED = {"word_timestamps": True, "beam_size": 2}


def main() -> int | str:
    """Print the text and the facts of each model; 1 if one could not be had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=next(iter(asrlab.evaluation.load_dataset("smoke"))).audio)
    parser.add_argument("--models", nargs="+", default=["faster-whisper/base", "openai-whisper/base", "echo/echo"])
    arguments = parser.parse_args()
    missing = 0
    for model in arguments.models:
        try:
            with asrlab.load(model) as transcriber:
                can = transcriber.info.capabilities.supported()
                # what a model cannot do, it refuses instead of ignoring it
                options = {name: value for name, value in WANTED.items() if name in can}
                transcript = transcriber.transcribe(arguments.file, **options)
        except asrlab.AudioError as error:
            return f"error: {error}"
        except asrlab.AsrlabError as error:
            print(f"{model} is not to be had: {error}", file=sys.stderr)  # it says what to install or fetch
            missing += 1
            continue
        words = "no times of words" if transcript.words is None else f"{len(transcript.words)} words timed"
        print(f"{model}: {transcript.text}")
        print(f"  on {transcript.device} in {transcript.compute_type}, {words}, asked for {' and '.join(options)}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
