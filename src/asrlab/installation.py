"""Commands that change the environment asrlab runs in, as they work when typed into a shell there.

asrlab is on no package registry: what ``asrlab[faster-whisper]`` is to be installed from depends on where asrlab came
from, which its ``direct_url.json`` records. Which installer works depends on whether the environment has pip.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from importlib import metadata, util
from pathlib import Path
from urllib.parse import unquote, urlsplit

_NAME = "asrlab"
_OWN = re.compile(rf"{_NAME}\[([\w.,\s-]+)\]")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")


def runnable(command: str, *, reinstall: bool = False) -> str:
    """Return *command* such that it works in this environment.

    ``pip install 'asrlab[faster-whisper]'`` becomes the installer that this environment has, with the clone, wheel or
    repository that asrlab was installed from. Anything but ``pip install`` is returned as it is.

    Args:
        command: As an `EngineSpec` states it.
        reinstall: True if packages are installed again that are there already.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that is not closed
        return command
    if words[:2] != ["pip", "install"]:
        return command
    return install_command(*words[2:], reinstall=reinstall)


def install_command(*requirements: str, reinstall: bool = False) -> str:
    """Return the command that installs *requirements* into this environment.

    Args:
        requirements: As pip takes them, options such as ``--no-deps`` included; ``asrlab[extra]`` means this asrlab.
        reinstall: True if packages are installed again that are there already.
    """
    words: list[str] = []
    for requirement in requirements:
        own = _OWN.fullmatch(requirement)
        words += _own_requirements(own[1]) if own else [requirement]
    if _has_pip() or not _uv():
        again = ["--force-reinstall"] if reinstall else []
        return _ensured_pip(shlex.join([sys.executable, "-m", "pip", "install", *again, *words]))
    again = ["--reinstall"] if reinstall else []
    return shlex.join([*_uv(), "pip", "install", "--python", sys.executable, *again, *words])


def uninstall_command(distribution: str) -> str:
    """Return the command that removes *distribution* from this environment without a question."""
    if _has_pip() or not _uv():
        return _ensured_pip(shlex.join([sys.executable, "-m", "pip", "uninstall", "-y", distribution]))
    return shlex.join([*_uv(), "pip", "uninstall", "--python", sys.executable, distribution])


def is_removable(distribution: str) -> bool:
    """Return whether an installer can remove *distribution*: it lies in this environment, with a list of its files."""
    try:
        found = metadata.distribution(distribution)
        home = Path(str(found.locate_file(""))).resolve()
        listed = found.read_text("RECORD") is not None
    except (metadata.PackageNotFoundError, OSError):
        return False
    return listed and str(home) in {str(Path(path).resolve()) for path in sysconfig.get_paths().values()}


def asrlab_command(*arguments: str) -> str:
    """Return a call of asrlab's command line that reaches this very asrlab."""
    found = shutil.which(_NAME)
    beside = Path(sys.executable).parent / _NAME
    if found and beside.is_file() and Path(found).samefile(beside):
        return shlex.join([_NAME, *arguments])
    return shlex.join([sys.executable, "-m", _NAME, *arguments])


def installed_from() -> tuple[str, bool] | None:
    """Return the path or address that asrlab was installed from, and whether it is editable; None if unknown."""
    try:
        written = metadata.distribution(_NAME).read_text("direct_url.json")
        record = json.loads(written) if written else {}
    except (metadata.PackageNotFoundError, OSError, ValueError):
        record = {}
    url = record.get("url", "") if isinstance(record, dict) else ""
    if url.startswith("file:"):
        path = Path(unquote(urlsplit(url).path))
        return (str(path), bool(record.get("dir_info", {}).get("editable"))) if path.exists() else None
    if "vcs_info" in record:
        vcs = record["vcs_info"]
        return f"{vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', 'HEAD')}", False
    return (url, False) if url else _source_tree()


def _source_tree() -> tuple[str, bool] | None:
    """Return the clone that this module lies in; None if it lies in none."""
    root = Path(__file__).resolve().parents[2]
    return (str(root), True) if (root / "pyproject.toml").is_file() and (root / "src" / _NAME).is_dir() else None


def _own_requirements(extras: str) -> list[str]:
    """Return what an installer is given for extras of this asrlab."""
    origin = installed_from()
    if origin is None:  # by the name alone, something else could be installed that is called asrlab
        names = [extra.strip() for extra in extras.split(",")]
        return [requirement for name in names for requirement in extra_requirements(name)] or names
    target, editable = origin
    if "://" in target:
        return [f"{_NAME}[{extras}] @ {target}"]
    return ["-e", f"{target}[{extras}]"] if editable else [f"{target}[{extras}]"]


def extra_requirements(extra: str) -> list[str]:
    """Return the requirements that asrlab's own metadata names for *extra*, such as ``faster-whisper>=1.2.1``."""
    try:
        lines = metadata.requires(_NAME) or []
    except metadata.PackageNotFoundError:
        return []
    split = (line.partition(";") for line in lines)
    return [requirement.strip() for requirement, _, marker in split if extra in _EXTRA.findall(marker)]


def _ensured_pip(command: str) -> str:
    """Return *command*, after the one that brings pip where it is missing."""
    if _has_pip():
        return command
    return f"{shlex.join([sys.executable, '-m', 'ensurepip'])} && {command}"


def _has_pip() -> bool:
    return util.find_spec("pip") is not None


@cache
def _uv() -> tuple[str, ...]:
    """Return the words that start uv; empty if it is not here."""
    if util.find_spec("uv") is not None:
        return (sys.executable, "-m", "uv")
    found = shutil.which("uv")
    return ("uv",) if found and _works(found) else ()


def _works(program: str) -> bool:
    """Return whether a program starts: the shims of version managers are on the path even where they refuse."""
    try:
        ran = subprocess.run([program, "--version"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return ran.returncode == 0
