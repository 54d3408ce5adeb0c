"""Score texts that another system wrote; no engine runs.

Run ``python examples/score_texts.py`` for made-up texts of the clips that come with asrlab, or with files of yours
(tables with utt_id and text, trn, CTM, the Open ASR Leaderboard's JSONL) and ``--references`` for what was said.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import asrlab


def main() -> int | str:
    """Print a line for each file and, of several, how they compare; 1 if a text is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--references", default="smoke", help="a data set, trn, STM or table; default: %(default)s")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = arguments.files or made_up(Path(folder))
            scoring = asrlab.evaluation.score(files, references=arguments.references)
        except asrlab.AsrlabError as error:
            return f"error: {error}"
    for each in scoring.files:
        words = each.score.words
        kinds = f"{words.substitutions} other words, {words.deletions} missing, {words.insertions} too many"
        print(f"{each.name}: WER {each.score.wer:.1%} ({kinds}, of {words.reference_length})")
        for name in each.missing:
            print(f"  no text for {name}: its words count as missing")
    for found in scoring.wer.differences if scoring.wer else ():
        low, high = 100 * found.interval.low, 100 * found.interval.high
        interval = "" if found.verdict == "too few to tell" else f" [{low:+.1f}, {high:+.1f}]"
        points = f"{100 * found.difference:+.1f} points{interval}"
        print(f"{found.candidate} against {found.baseline}: {points}: {found.verdict}")
    return int(bool(scoring.missing))


def made_up(folder: Path) -> list[Path]:
    """Write the texts of two systems: one has capitals and full stops, which do not count; one drops last words."""
    references = [(utterance.id, utterance.text) for utterance in asrlab.evaluation.load_dataset("smoke")]
    careful, hasty = folder / "careful.csv", folder / "hasty.trn"
    careful.write_text("utt_id,text\n" + "".join(f'{name},"{text.upper()}."\n' for name, text in references))
    hasty.write_text("".join(f"{text.rpartition(' ')[0]} ({name})\n" for name, text in references))
    return [careful, hasty]


if __name__ == "__main__":
    sys.exit(main())
