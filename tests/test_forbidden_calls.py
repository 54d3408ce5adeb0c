"""Calls that are forbidden in the source: changes of the environment, and output around the guarded streams."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "asrlab"


def find_lines(folder: Path, find: Callable[[ast.AST], Iterator[int]]) -> list[str]:
    """Return the lines that *find* yields for the modules below *folder*, each with its path."""
    return [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(folder.rglob("*.py"))
        for line in find(ast.parse(path.read_text(encoding="utf-8")))
    ]


def writes_environment(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that change ``os.environ``: by item, by a method, or by ``os.putenv``."""
    changing = {"update", "setdefault", "pop", "popitem", "clear", "__setitem__", "__delitem__"}
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
                written = is_environ(value)
            case ast.Attribute(value=value, attr=name):
                written = name in {"putenv", "unsetenv"} or (name in changing and is_environ(value))
            case ast.AugAssign(target=target):
                written = is_environ(target)
            case _:
                continue
        if written:
            yield node.lineno


def is_environ(node: ast.expr) -> bool:
    """Return whether an expression is ``os.environ`` or ``environ``."""
    return ast.unparse(node) in {"os.environ", "environ"}


def test_nothing_writes_the_environment() -> None:
    """No module changes os.environ: the environment is the user's."""
    assert find_lines(PACKAGE, writes_environment) == []


@pytest.mark.parametrize(
    "source",
    [
        "os.environ['A'] = 'b'",
        "del os.environ['A']",
        "os.environ.update(A='b')",
        "environ.setdefault('A', 'b')",
        "os.environ |= {'A': 'b'}",
        "os.putenv('A', 'b')",
    ],
)
def test_a_write_to_the_environment_is_seen(source: str) -> None:
    """Each way of changing the environment is recognized, so that the rule above can fail."""
    assert list(writes_environment(ast.parse(source))) == [1]


def test_reading_the_environment_is_allowed() -> None:
    """Reading a variable or copying the environment is not a write."""
    source = "os.environ['A']; os.environ.get('A'); dict(os.environ); env['A'] = 'b'; [].pop()"
    assert list(writes_environment(ast.parse(source))) == []


def unguarded_output(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that print past the guarded streams, or with a console that does not escape."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield node.lineno
            case ast.Call(func=ast.Name(id="Console")):
                yield node.lineno
            case ast.Attribute(value=ast.Name(id="sys"), attr="__stdout__" | "__stderr__"):
                yield node.lineno
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"), attr="buffer"):
                yield node.lineno
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="write")):
                yield node.lineno
            case ast.ImportFrom(module="rich.text"):
                yield node.lineno


def test_commands_print_through_the_guarded_streams() -> None:
    """No module of the command line prints by itself: its texts may contain control characters."""
    advice = "print with click.echo, or asrlab.cli.options.console and asrlab.terminal.screen.Text"
    assert find_lines(PACKAGE / "cli", unguarded_output) == [], advice


@pytest.mark.parametrize(
    "source",
    [
        "print('text')",
        "Console(stderr=True)",
        "sys.__stdout__.write('text')",
        "sys.stdout.buffer.write(b'text')",
        "os.write(1, b'text')",
        "from rich.text import Text",
    ],
)
def test_unguarded_output_is_seen(source: str) -> None:
    """Each way around the guarded streams is recognized, so that the rule above can fail."""
    assert list(unguarded_output(ast.parse(source))) == [1]
