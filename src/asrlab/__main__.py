"""``python -m asrlab``: the command line."""

from __future__ import annotations

from asrlab.cli.main import main

if __name__ == "__main__":
    main()
