"""``python -m asrlab.compat.run``: run a program that imports whisper or faster_whisper, unchanged, over asrlab."""

from __future__ import annotations

import argparse
import runpy
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any

PACKAGES = ("whisper", "faster_whisper")
_EPILOG = """examples:
  python -m asrlab.compat.run whisper transcribe.py talk.mp3     a script
  python -m asrlab.compat.run faster_whisper -m my_app --port 1  a module
  python -m asrlab.compat.run faster_whisper whisper-ctranslate2 talk.mp3
                                                                 an installed command

The exit code is the program's. Processes that the program starts import the real package.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program with the replacement in ``sys.modules``; its exit code is this command's."""
    parser = _build_parser()
    given = parser.parse_args(arguments)
    if not given.program:
        parser.error("give a script, -m MODULE, or an installed command")
    name, *rest = given.program
    if name == "-m" and not rest:
        parser.error("-m requires the name of a module")
    start = _find_module(*rest) if name == "-m" else _find_program(name, rest)
    if start is None:
        what = f"module {rest[0]!r}" if name == "-m" else f"script or installed command {name!r}"
        parser.error(f"there is no {what} in this environment; install it here, or give the path of a Python script")
    sys.modules[given.package] = import_module(f"asrlab.compat.{given.package}")
    start()


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asrlab.compat.run",
        usage="%(prog)s [-h] {whisper,faster_whisper} (SCRIPT | -m MODULE | COMMAND) [ARGUMENT ...]",
        description="Run a program that imports whisper or faster_whisper, unchanged, over asrlab's replacement.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("package", choices=PACKAGES, help="package that the program imports")
    parser.add_argument(
        "program",
        nargs=argparse.REMAINDER,
        metavar="PROGRAM ...",
        help="script, -m MODULE, or installed command, and its arguments",
    )
    return parser


def _find_module(name: str, *rest: str) -> Callable[[], Any] | None:
    """Return the call that runs a module as ``python -m`` does; None if there is no such module."""
    sys.argv, sys.path[0] = [name, *rest], str(Path.cwd())
    try:
        if util.find_spec(name) is None:
            return None
    except ModuleNotFoundError:  # the parent of a dotted name
        return None
    return partial(runpy.run_module, name, run_name="__main__", alter_sys=True)


def _find_program(name: str, rest: Sequence[str]) -> Callable[[], Any] | None:
    """Return the call that runs a script or the entry point of an installed command; None if there is neither."""
    sys.argv = [name, *rest]
    script = Path(name)
    if not script.is_file() and (points := metadata.entry_points(group="console_scripts", name=name)):
        (point, *_) = points
        return lambda: sys.exit(point.load()())
    if not script.is_file():
        script = Path(shutil.which(name) or "")
    if not script.is_file():
        return None
    sys.path[0] = str(script.resolve().parent)
    return partial(runpy.run_path, str(script), run_name="__main__")


if __name__ == "__main__":
    main()
