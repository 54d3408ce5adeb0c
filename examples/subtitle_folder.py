"""Write subtitles (.srt) for all audio in a folder, going on past files that cannot be read.

Run ``python examples/subtitle_folder.py`` for the clips that come with asrlab, or with ``talks/ -o talks/`` to have
each file of a folder of yours beside its audio.
"""

import argparse
import sys
from pathlib import Path

import asrlab
from asrlab.evaluation.datasets import AUDIO_SUFFIXES

SMOKE = Path(asrlab.__file__).parent / "evaluation" / "datasets" / "smoke"


def main() -> int:
    """Print a line for each file and a summary; return 1 if a file failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=SMOKE)
    parser.add_argument("-o", "--output", type=Path, default=Path("subtitles"))
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    written: set[Path] = set()
    with asrlab.load("faster-whisper/base") as transcriber:
        for path, outcome in zip(files, transcriber.transcribe_many(files), strict=True):
            target = arguments.output / path.relative_to(arguments.folder).with_suffix(".srt")
            if outcome.transcript is None or target in written:
                print(f"failed: {outcome.error or f'{path}: another file has {target}'}", file=sys.stderr)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(outcome.transcript.to("srt"), encoding="utf-8")
            written.add(target)
            print(target)
    print(f"{len(written)} of {len(files)} files have subtitles")
    return 0 if len(written) == len(files) else 1


if __name__ == "__main__":
    sys.exit(main())
