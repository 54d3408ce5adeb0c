"""Write subtitles (.srt) for all audio in a folder, going on past files that cannot be read.

::

    python examples/subtitle_folder.py talks/            # beside the files: a.mp3 and a.mp3.srt
    python examples/subtitle_folder.py talks/ -o subs/
    python examples/subtitle_folder.py                   # the clips that come with asrlab, into subtitles/
"""

import argparse
import sys
from pathlib import Path

import asrlab
from asrlab.datasets import AUDIO_SUFFIXES


def main() -> int | str:
    """Print a line for each file and a summary; 1 if a file failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(next(iter(asrlab.load_dataset("smoke"))).audio).parent
    output = arguments.output or arguments.folder or Path("subtitles")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    written = 0
    with asrlab.load("faster-whisper/base") as transcriber:
        for path, outcome in zip(files, transcriber.transcribe_many(files), strict=True):
            target = output / f"{path.relative_to(folder)}.srt"  # the ending stays: a.mp3 and a.wav may both be there
            if outcome.transcript is None:
                print(f"failed  {path}: {outcome.error}", file=sys.stderr)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(outcome.transcript.to("srt"), encoding="utf-8")
            print(f"written {target}")
            written += 1
    print(f"{written} of {len(files)} files have subtitles")
    return 0 if written == len(files) else 1


if __name__ == "__main__":
    sys.exit(main())
