"""Write the hash-pinned locks from pyproject.toml, or check that they match it.

python tools/locks.py             write them; versions that still fit are kept
python tools/locks.py --upgrade   write them with the newest versions
python tools/locks.py --check     compare the recorded digest of the inputs; needs no network
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LOCKS", "Lock", "inputs_digest", "recorded_digest", "stale"]

ROOT = Path(__file__).resolve().parent.parent
DIGEST = "# Inputs: sha256:"


@dataclass(frozen=True, kw_only=True)
class Lock:
    """One file under locks/ and how uv compiles it.

    Attributes:
        name: The file's name without its suffix.
        arguments: Inputs for uv, relative to the repository's root.
        python: The oldest Python that the lock covers.
    """

    name: str
    arguments: tuple[str, ...]
    python: str = "3.12"


PROJECT = "pyproject.toml"
SAME = ("--constraints", "locks/dev.txt")  # one version of a package over all locks
PLUGINS = ("--group=plugins", "--group=test")

# In order: dev.txt is the widest and decides the versions for the others.
LOCKS = (
    Lock(name="dev", arguments=(PROJECT, "--extra=all", "--group=dev", "--constraints", "locks/constraints.in")),
    Lock(name="all", arguments=(PROJECT, "--extra=all", *SAME)),
    Lock(name="core", arguments=(PROJECT, *SAME)),
    Lock(name="test", arguments=(PROJECT, "--extra=all", "--group=test", *SAME)),
    Lock(
        name="plugins",
        arguments=(PROJECT, *("--extra=faster-whisper", "--extra=openai-whisper", "--extra=weights"), *PLUGINS, *SAME),
    ),
    Lock(name="lint", arguments=("--group=lint", *SAME)),
    Lock(name="build", arguments=("locks/build.in", *SAME)),
    Lock(name="bootstrap", arguments=("locks/bootstrap.in", *SAME), python="3.9"),
    Lock(name="minimum", arguments=(PROJECT, "--extra=all", "--group=test", "--resolution=lowest-direct")),
    # For the matrix: one end of liquid-audio with the other of torch.
    *(
        Lock(name=name, arguments=(PROJECT, "--extra=all", "--constraints", f"locks/{name}.in"))
        for name in ("liquid-1.2-torch-2.15", "liquid-1.3-torch-2.9")
    ),
)


def inputs_digest() -> str:
    """Return the sha256 of everything that decides what the locks hold."""
    pyproject = tomllib.loads((ROOT / PROJECT).read_text(encoding="utf-8"))
    project = pyproject["project"]
    facts = {
        "python": project["requires-python"],
        "dependencies": project["dependencies"],
        "extras": project["optional-dependencies"],
        "groups": pyproject["dependency-groups"],
        "build": pyproject["build-system"]["requires"],
        "inputs": {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "locks").glob("*.in"))},
        "locks": [[lock.name, *lock.arguments, lock.python] for lock in LOCKS],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def recorded_digest(text: str) -> str:
    """Return the digest that a lock's first line names, or an empty string."""
    first = text.partition("\n")[0]
    return first.removeprefix(DIGEST) if first.startswith(DIGEST) else ""


def stale() -> list[str]:
    """Return the locks that are missing, or were written from other inputs than today's."""
    digest = inputs_digest()
    paths = {lock.name: ROOT / "locks" / f"{lock.name}.txt" for lock in LOCKS}
    return [
        name
        for name, path in paths.items()
        if not path.is_file() or recorded_digest(path.read_text(encoding="utf-8")) != digest
    ]


def write(lock: Lock, *, digest: str, uv: str, upgrade: bool) -> None:
    """Compile one lock in place and record what it was compiled from."""
    output = f"locks/{lock.name}.txt"
    command = [
        *(uv, "pip", "compile", *lock.arguments, "--output-file", output, "--quiet"),
        *("--universal", "--python-version", lock.python, "--generate-hashes"),
        *("--no-emit-index-url", "--no-emit-find-links"),
        *("--custom-compile-command", "nox -s lock"),
        *(("--upgrade",) if upgrade else ()),
    ]
    print(f"locks: {output}", file=sys.stderr)
    subprocess.run(command, cwd=ROOT, check=True)
    path = ROOT / output
    text = path.read_text(encoding="utf-8")
    body = text.partition("\n")[2] if recorded_digest(text) else text
    path.write_text(f"{DIGEST}{digest}\n{body}", encoding="utf-8")


def find_uv() -> str:
    """Return the uv installed beside this Python, else the name to look up on PATH."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else "uv"


def main() -> int:
    """Write or check the locks; the exit code is 1 where a check finds a stale one."""
    parser = argparse.ArgumentParser(description="Write or check the hash-pinned locks.")
    parser.add_argument("--check", action="store_true", help="only compare the recorded digests")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    options = parser.parse_args()
    if not options.check:
        for lock in LOCKS:
            write(lock, digest=inputs_digest(), uv=find_uv(), upgrade=options.upgrade)
        return 0
    if names := stale():
        print(f"locks: {', '.join(names)} do not belong to pyproject.toml; run: nox -s lock", file=sys.stderr)
        return 1
    print(f"locks: all {len(LOCKS)} belong to pyproject.toml", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
