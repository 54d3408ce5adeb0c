"""``asrlab`` and ``python -m asrlab``: the command line."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its code."""
    import gc

    # The import of click creates many objects and no garbage: without collections, `asrlab --help` takes a seventh less
    # time. A command that runs enables them again.
    gc.disable()
    import asrlab.cli.main

    try:
        asrlab.cli.main.main()
    finally:
        if not gc.isenabled():
            gc.freeze()  # leaves nothing to the collection at exit


if __name__ == "__main__":
    main()
