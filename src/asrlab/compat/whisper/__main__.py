"""Entry point of ``python -m asrlab.compat.whisper``, openai-whisper's command."""

from asrlab.compat.whisper.command import main

if __name__ == "__main__":
    raise SystemExit(main())
