"""Runs openai-whisper's command line: ``python -m asrlab.compat.whisper``."""

from asrlab.compat.whisper.command import main

if __name__ == "__main__":
    raise SystemExit(main())
