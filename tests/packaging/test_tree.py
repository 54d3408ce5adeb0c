from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The names are joined here, so that this file does not contain one.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("deb", "debian", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
    )
]
EXACT_PIN = re.compile(r'^\s*"[A-Za-z0-9._\[\]-]+={2,3}[^"]+",?(?P<rest>.*)$')


def tracked_files() -> list[Path]:
    """Return the files of the checkout that git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip("this is not a git checkout")
    return [ROOT / name for name in result.stdout.split("\0") if name and (ROOT / name).is_file()]


def named_hosts(data: bytes) -> list[str]:
    """Return the registry hosts that a file's bytes contain."""
    return [host for host in REGISTRY_HOSTS if host.encode() in data.lower()]


def unexplained_pins(text: str) -> list[str]:
    """Return the lines that pin an exact version without a comment."""
    matches = [(line, EXACT_PIN.match(line)) for line in text.splitlines()]
    return [line.strip() for line, match in matches if match and "#" not in match["rest"]]


def test_no_file_names_a_registry_host() -> None:
    """No file contains a registry host, because the user's settings select the registry."""
    hosts_by_file = {
        str(path.relative_to(ROOT)): hosts for path in tracked_files() if (hosts := named_hosts(path.read_bytes()))
    }
    assert hosts_by_file == {}


def test_a_registry_host_is_detected() -> None:
    """A host within a URL is detected in upper and lower case."""
    assert named_hosts(f"https://Files.{REGISTRY_HOSTS[1].title()}/x".encode()) == [REGISTRY_HOSTS[1]]


def test_every_exact_pin_has_a_reason() -> None:
    """An exact version in pyproject.toml has a comment with its reason on the same line."""
    assert unexplained_pins((ROOT / "pyproject.toml").read_text(encoding="utf-8")) == []


def test_an_unexplained_pin_is_detected() -> None:
    """An exact version without a comment is reported, unlike a commented version and a minimum version."""
    text = '  "a==1.0",\n  "b==1.0",  # because\n  "c>=1",\n'
    assert unexplained_pins(text) == ['"a==1.0",']


def test_bootstrap_is_python_3_9() -> None:
    """tools/bootstrap.py can be parsed by Python 3.9, which a new user may have."""
    source = (ROOT / "tools" / "bootstrap.py").read_text(encoding="utf-8")
    assert ast.parse(source, feature_version=(3, 9)).body


def test_bootstrap_imports_the_standard_library_only() -> None:
    """tools/bootstrap.py imports only standard modules of Python 3.9, because it runs before an installation."""
    tree = ast.parse((ROOT / "tools" / "bootstrap.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"__future__", "hashlib", "json", "os", "pathlib", "re", "shutil", "subprocess", "sys"}


def test_ci_runs_the_second_command() -> None:
    """CI runs the second command of README, so a contributor can run the same checks."""
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["exec python3 tools/bootstrap.py test </dev/null"]


def test_the_licence_files_are_complete() -> None:
    """LICENSE is the Apache licence, and NOTICE names every copyleft component."""
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert [part for part in ("libsoxr", "libsndfile", "FFmpeg", "LibriVox", "x264") if part not in notice] == []
