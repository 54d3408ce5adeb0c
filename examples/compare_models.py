"""Compare two models on a data set: word errors and speed.

::

    python examples/compare_models.py
    python examples/compare_models.py recordings/ --models faster-whisper/base faster-whisper/small
"""

import argparse
import sys

import asrlab

MODELS = ["faster-whisper/base", "openai-whisper/base"]


def main() -> int | str:
    """Print a line for each model; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", default="smoke", help="a name, a folder with .txt files, or a manifest")
    parser.add_argument("--models", nargs=2, default=MODELS, metavar="MODEL")
    arguments = parser.parse_args()
    try:
        result = asrlab.bench(arguments.dataset, models=arguments.models)
    except asrlab.AsrlabError as error:
        return f"error: {error}"

    for model in result.models:
        if model.score is None or model.score.wer is None or model.rtfx is None:
            print(f"{model.model}: no figures ({model.failure.message if model.failure else 'nothing to score'})")
            continue
        words = model.score.words
        errors = f"{words.errors} errors in {words.reference_length} words"
        print(f"{model.model}: WER {model.score.wer:.1%} ({errors}), RTFx {model.rtfx:.1f}, {model.failed} failed")
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
