"""Compare two models on a data set: word errors and speed.

Run ``python examples/compare_models.py`` for the clips that come with asrlab, or with a folder of audio that has
same-named .txt files; ``--models`` takes two others.
"""

import argparse
import sys

import asrlab


def main() -> int | str:
    """Print a line for each model; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", nargs="?", default="smoke")
    parser.add_argument("--models", nargs=2, default=["faster-whisper/base", "openai-whisper/base"])
    arguments = parser.parse_args()
    try:
        result = asrlab.evaluation.bench(arguments.dataset, models=arguments.models)
    except asrlab.AsrlabError as error:
        return f"error: {error}"

    for model in result.models:
        if model.failure is not None:
            print(f"{model.model} did not load: {model.failure.message}")
        elif model.score is None or model.score.wer is None or model.rtfx is None:
            print(f"{model.model}: nothing to score")
        else:
            words = model.score.words
            counts = f"{words.errors} errors in {words.reference_length} words, {model.failed} utterances failed"
            print(f"{model.model}: WER {model.score.wer:.1%} ({counts}), RTFx {model.rtfx:.1f}")
    if sum(model.info is not None for model in result.models) == 2:
        print(*asrlab.evaluation.compare([result]).headline, sep="\n")  # whether the difference is more than chance
    return int(any(model.failure is not None or model.failed for model in result.models))


if __name__ == "__main__":
    sys.exit(main())
