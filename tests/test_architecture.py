"""The house's rules, read from the source with ast: nothing is imported to check them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "asrlab"
MODULES = sorted(PACKAGE.rglob("*.py"))
FACADE = "asrlab"
LONGEST_MODULE = 400

# A room may import its own rank and lower ones. The facade is on top: users import it, rooms do not.
RANKS = {
    "_version": 0,
    "bounded_json": 0,
    "control_characters": 0,
    "errors": 0,
    "installation": 0,
    "isolation": 0,
    "plugin_code": 0,
    "versions": 0,
    "audio": 1,
    "batching": 2,
    "calibration": 2,
    "device": 1,
    "engine_import": 2,
    "languages": 1,
    "machine": 1,
    "options": 1,
    "output_files": 1,
    "recognition": 1,
    "spec": 1,
    "terminal": 1,
    "transcriber": 1,
    "transcript": 1,
    "datasets": 2,
    "loading": 2,
    "longform": 2,
    "metrics": 2,
    "patches": 2,
    "patching": 2,
    "plugins": 2,
    "weights": 2,
    "engines": 3,
    "runs": 3,
    "tuning": 3,
    "compat": 4,
    "doctor": 4,
    "reports": 4,
    "testing": 4,
    "__main__": 5,
    "cli": 5,
    FACADE: 6,
}


def room_of(module: str) -> str:
    """Return the room of a dotted module name: the part after the package's name, or the facade itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__init__" else FACADE


def rooms_on_disk() -> set[str]:
    """Return the rooms that have a module, the facade among them."""
    return {room_of(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)) for path in MODULES}


def imported_rooms(tree: ast.AST, *, package: str, rooms: set[str]) -> Iterator[tuple[str, int]]:
    """Yield each room that a module imports, wherever in it the import stands, with the line."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = sources_of(node, package=package, rooms=rooms)
        yield from ((room_of(name), node.lineno) for name in names if name.split(".")[0] == FACADE)


def sources_of(node: ast.ImportFrom, *, package: str, rooms: set[str]) -> list[str]:
    """Return the absolute modules that a ``from`` import reaches; ``from asrlab import errors`` reaches a room."""
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    source = ".".join((*above, node.module)) if node.module else ".".join(above)
    if source != FACADE:
        return [source]
    return [f"{source}.{alias.name}" if alias.name in rooms else source for alias in node.names]


def arrows() -> list[tuple[str, str, str]]:
    """Return every import of one room by another as (room, imported room, place)."""
    rooms = rooms_on_disk() | set(RANKS)
    found = []
    for path in MODULES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for target, line in imported_rooms(tree, package=".".join(parts[:-1]), rooms=rooms):
            found.append((room_of(".".join(parts)), target, f"{path.relative_to(ROOT)}:{line}"))
    return [arrow for arrow in found if arrow[0] != arrow[1]]


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the cycles that a depth-first walk meets, each as the rooms on its way."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(room: str, way: list[str]) -> None:
        if room in way:
            found.append([*way[way.index(room) :], room])
        elif room not in done:
            for target in sorted(graph.get(room, ())):
                walk(target, [*way, room])
            done.add(room)

    for room in sorted(graph):
        walk(room, [])
    return found


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
    """Tell whether an expression is ``os.environ`` or ``environ``."""
    return ast.unparse(node) in {"os.environ", "environ"}


def test_every_room_has_a_rank() -> None:
    """Every room under src/asrlab has a place in the table of ranks."""
    assert sorted(rooms_on_disk() - set(RANKS)) == [], "a new room: give it a rank in RANKS and in the design"


def test_imports_point_downward() -> None:
    """No room imports a room of a higher rank, not even inside a function or for types only."""
    upward = [
        f"{place}: {room} imports {target}" for room, target, place in arrows() if RANKS[target] > RANKS.get(room, -1)
    ]
    assert upward == []


def test_rooms_make_no_cycle() -> None:
    """Rooms of the same rank may import each other only as long as no way leads back."""
    graph: dict[str, set[str]] = {}
    for room, target, _ in arrows():
        graph.setdefault(room, set()).add(target)
    assert cycles(graph) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import asrlab.cli.main", ["cli"]),
        ("from asrlab.evaluation.runs import bench", ["runs"]),
        ("from asrlab import errors", ["errors"]),
        ("from asrlab import load", [FACADE]),
        ("from ..weights import store", ["weights"]),
        ("from . import spec", []),
        ("def f():\n    from asrlab.device import Device", ["device"]),
        ("if TYPE_CHECKING:\n    import asrlab.plugins", ["plugins"]),
        ("import asrlabel", []),
    ],
)
def test_an_import_is_seen_however_it_is_written(source: str, expected: list[str]) -> None:
    """Absolute, relative, deferred and type-only imports are all arrows; those within a room are not."""
    rooms = {"errors", "weights", FACADE}
    seen = [room for room, _ in imported_rooms(ast.parse(source), package="asrlab.engines", rooms=rooms)]
    assert [room for room in seen if room != "engines"] == expected


def test_a_cycle_is_found() -> None:
    """A way that leads back over two rooms is reported, a diamond is not."""
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c", "a"]]
    assert cycles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}) == []


def test_no_module_is_longer_than_400_lines() -> None:
    """A module that passes 400 lines is split."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_nothing_writes_the_environment() -> None:
    """No module changes os.environ: the environment is the user's."""
    places = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in MODULES
        for line in writes_environment(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert places == []


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
    """Each way of changing the environment is recognised, so that the rule above can fail."""
    assert list(writes_environment(ast.parse(source))) == [1]


def test_reading_the_environment_is_allowed() -> None:
    """Reading a variable or copying the environment is no write."""
    source = "os.environ['A']; os.environ.get('A'); dict(os.environ); env['A'] = 'b'; [].pop()"
    assert list(writes_environment(ast.parse(source))) == []


def unguarded_output(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that print past the guard of the streams, or with a console that does not escape."""
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
    """No module of the command line prints by itself: its texts may come from strangers."""
    places = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in (PACKAGE / "cli").rglob("*.py")
        for line in unguarded_output(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert places == [], "print with click.echo, or asrlab.cli.options.console and asrlab.terminal.screen.Text"


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
def test_a_way_around_the_guard_is_seen(source: str) -> None:
    """Each is recognised, so that the rule above can fail."""
    assert list(unguarded_output(ast.parse(source))) == [1]
