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
    """Return *command* such that it works in this environment, with *reinstall* for packages that are there already.

    ``pip install 'asrlab[faster-whisper]'`` becomes the installer that this environment has, with the clone, wheel or
    repository that asrlab was installed from. Anything but ``pip install`` is returned as it is.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that is not closed
        return command
    if words[:2] != ["pip", "install"]:
        return command
    return install_command(*words[2:], reinstall=reinstall)


def install_command(*requirements: str, reinstall: bool = False) -> str:
    """Return the command that installs *requirements*, which are as pip takes them, into this environment.

    Options such as ``--no-deps`` may be among them, and ``asrlab[extra]`` means this asrlab. With *reinstall*, packages
    that are there already are installed again.
    """
    words: list[str] = []
    for requirement in requirements:
        own, origin = _OWN.fullmatch(requirement), installed_from()
        if own is None:
            words.append(requirement)
        elif origin is None:  # by the name alone, something else could be installed that is called asrlab
            names = [extra.strip() for extra in own[1].split(",")]
            words += [known for name in names for known in extra_requirements(name)] or names
        elif "://" in origin[0]:
            words.append(f"{requirement} @ {origin[0]}")
        else:
            words += [*(["-e"] if origin[1] else []), f"{origin[0]}[{own[1]}]"]
    if _has_pip() or not _uv():
        return _pip_command("install", *["--force-reinstall"] * reinstall, *words)
    return shlex.join([*_uv(), "pip", "install", "--python", sys.executable, *["--reinstall"] * reinstall, *words])


def uninstall_command(distribution: str) -> str:
    """Return the command that removes *distribution* from this environment without a question."""
    if _has_pip() or not _uv():
        return _pip_command("uninstall", "-y", distribution)
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
    if url:
        return url, False
    root = Path(__file__).resolve().parents[2]  # a clone that this module lies in
    return (str(root), True) if (root / "pyproject.toml").is_file() and (root / "src" / _NAME).is_dir() else None


def extra_requirements(extra: str) -> list[str]:
    """Return the requirements that asrlab's own metadata names for *extra*, such as ``faster-whisper>=1.2.1``."""
    try:
        lines = metadata.requires(_NAME) or []
    except metadata.PackageNotFoundError:
        return []
    split = (line.partition(";") for line in lines)
    return [requirement.strip() for requirement, _, marker in split if extra in _EXTRA.findall(marker)]


def _pip_command(*words: str) -> str:
    """Return a command of pip, after the command that brings pip where it is missing."""
    command = shlex.join([sys.executable, "-m", "pip", *words])
    return command if _has_pip() else f"{shlex.join([sys.executable, '-m', 'ensurepip'])} && {command}"


def _has_pip() -> bool:
    return util.find_spec("pip") is not None


@cache
def _uv() -> tuple[str, ...]:
    """Return the words that start uv; empty if it is not here, or does not start, as some shims on the path."""
    if util.find_spec("uv") is not None:
        return (sys.executable, "-m", "uv")
    uv = shutil.which("uv")
    try:
        ran = subprocess.run([uv, "--version"], capture_output=True, timeout=20, check=False) if uv else None
    except (OSError, subprocess.SubprocessError):
        return ()
    return ("uv",) if ran and ran.returncode == 0 else ()
