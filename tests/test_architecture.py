"""The rules of the tree, read from the source with ast: no module is imported to check them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "asrlab"
FACADE = "asrlab"
MAX_MODULE_LINES = 400
MAX_INIT_LINES = 50
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 5
PUBLIC_PACKAGES = (FACADE, "asrlab.evaluation", "asrlab.evaluation.metrics", "asrlab.patches", "asrlab.testing")
# Functions whose parameters users write as keywords, or that have the signatures of another package. All others take at
# most MAX_PARAMETERS: further options travel in one attrs class.
PUBLIC_FACADES = {
    "asrlab.compat.faster_whisper.transcribe",
    "asrlab.compat.faster_whisper.utils:download_model",
    "asrlab.evaluation.reports.comparison:compare",
    "asrlab.evaluation.reports.html_report:report",
    "asrlab.evaluation.runs.bench:bench",
    "asrlab.evaluation.runs.bench:resume",
    "asrlab.loading:load",
    "asrlab.tuning.tune:calibrate",
    "asrlab.tuning.tune:tune",
}

# A package may import packages of its own layer and of the layers before it. A dotted name is a part that is ranked
# apart from the package around it. The facade comes last: users import it, packages do not.
LAYERS = (
    ("_lazy", "_version", "control_characters", "errors", "upstream"),
    ("audio", "bounded_json", "device", "installation", "isolation", "languages", "output_files", "terminal"),
    ("environment", "options", "result_display"),
    ("transcript",),
    ("vad", "weights"),
    ("batching",),
    ("engine",),
    ("evaluation.alternatives", "evaluation.datasets", "evaluation.metrics", "patches", "tuning.calibration"),
    ("plugins",),
    ("engines", "evaluation.catalog", "loading", "patches.direct"),
    ("compat", "evaluation.matrix", "evaluation.runs", "tuning"),
    ("evaluation.claims", "evaluation.reports"),
    ("doctor", "evaluation", "plugin", "testing"),
    ("cli",),
    ("__main__",),
    (FACADE,),
)
RANKS = {package: rank for rank, layer in enumerate(LAYERS) for package in layer}


@attrs.frozen
class ModuleImport:
    """One module that another module imports.

    Attributes:
        importer: Dotted name of the importing module.
        target: Dotted name of the imported module.
        location: Path and line of the import statement.
    """

    importer: str
    target: str
    location: str


@cache
def modules() -> dict[str, Path]:
    """Return the path of each module by its dotted name; a package has its own name."""
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def package_of(module: str) -> str:
    """Return the ranked package of a dotted module name, such as ``evaluation.runs``, or the facade itself."""
    parts = module.split(".")[1:]
    if not parts:
        return FACADE
    return ".".join(parts[:2]) if ".".join(parts[:2]) in RANKS else parts[0]


def imported_modules(tree: ast.AST, *, package: str, known: set[str]) -> Iterator[tuple[str, int]]:
    """Yield each asrlab module that *tree* imports, deferred and type-only imports included, with the line.

    Args:
        tree: The importing module.
        package: The package that contains the importing module; relative imports start there.
        known: The modules that exist: ``from asrlab import errors`` imports a module, ``... import load`` a name.
    """
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join((*parents, node.module)) if node.module else ".".join(parents)
            full_names = [f"{source}.{alias.name}" for alias in node.names]
            names = [name if name in known else source for name in full_names]
        yield from ((name, node.lineno) for name in names if name.split(".")[0] == FACADE)


@cache
def module_imports() -> tuple[ModuleImport, ...]:
    """Return every import of one asrlab module by another."""
    known = set(modules())
    found = []
    for name, path in modules().items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for target, line in imported_modules(tree_of(path), package=package, known=known):
            found.append(ModuleImport(name, target, f"{path.relative_to(ROOT)}:{line}"))
    return tuple(found)


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the cycles that a depth-first search meets, each as the names along it."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
        elif name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, [*path, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield each function of the package with its name, ``module:function``, except public facades and commands."""
    for module, path in modules().items():
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            is_command = any("click." in ast.unparse(decorator) for decorator in node.decorator_list)
            if not is_command and not {module, f"{module}:{node.name}"} & PUBLIC_FACADES:
                yield f"{module}:{node.name}", node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the named parameters of a function, without ``self`` and ``cls``."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [argument.arg for argument in arguments if argument.arg not in {"self", "cls"}]


def effects_at_import(body: list[ast.stmt]) -> Iterator[int]:
    """Yield the lines of statements that do more than define a name, in the body of a module."""
    for node in body:
        match node:
            case ast.If(test=test) if "__name__" in ast.unparse(test) or "TYPE_CHECKING" in ast.unparse(test):
                continue
            case ast.If():
                yield from effects_at_import([*node.body, *node.orelse])
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.AugAssign(target=ast.Name()):
                continue
            case ast.Assign(targets=targets) if any(
                isinstance(each, ast.Attribute | ast.Subscript) for each in targets
            ):
                yield node.lineno
            case ast.FunctionDef(decorator_list=decorators) | ast.ClassDef(decorator_list=decorators):
                names = [ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in decorators]
                if {"register", "command"} & set(names) and "click.command" not in ast.unparse(node):
                    yield node.lineno
            case ast.Expr() | ast.AugAssign() | ast.Delete() | ast.For() | ast.While() | ast.With() | ast.Try():
                yield node.lineno


def test_every_package_has_a_rank() -> None:
    """Every package under src/asrlab is listed in LAYERS."""
    unranked = {package_of(name) for name in modules()} - set(RANKS)
    assert sorted(unranked) == [], "a new package: add it to a layer of LAYERS and to the design"


def test_every_rank_has_a_package() -> None:
    """LAYERS lists no package that is gone."""
    assert sorted(set(RANKS) - {package_of(name) for name in modules()}) == []


def test_imports_point_downward() -> None:
    """No package imports a package of a later layer, not even inside a function or for types only."""
    upward = [
        f"{each.location}: {package_of(each.importer)} imports {package_of(each.target)}"
        for each in module_imports()
        if RANKS[package_of(each.target)] > RANKS.get(package_of(each.importer), -1)
    ]
    assert upward == []


def test_production_code_does_not_import_testing() -> None:
    """Only asrlab.testing imports asrlab.testing."""
    locations = [
        each.location
        for each in module_imports()
        if package_of(each.target) == "testing" and package_of(each.importer) != "testing"
    ]
    assert locations == []


def test_packages_form_no_cycle() -> None:
    """Packages of one layer may import each other only as long as no import leads back."""
    graph: dict[str, set[str]] = {}
    for each in module_imports():
        importer, target = package_of(each.importer), package_of(each.target)
        if importer != target:
            graph.setdefault(importer, set()).add(target)
    assert cycles(graph) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import asrlab.cli.main", ["asrlab.cli.main"]),
        ("from asrlab.evaluation.runs import bench", ["asrlab.evaluation.runs"]),
        ("from asrlab import errors", ["asrlab.errors"]),
        ("from asrlab import load", ["asrlab"]),
        ("from ..weights import store", ["asrlab.weights"]),
        ("from . import spec", ["asrlab.engines"]),
        ("def f():\n    from asrlab.device import Device", ["asrlab.device"]),
        ("if TYPE_CHECKING:\n    import asrlab.plugins", ["asrlab.plugins"]),
        ("import asrlabel", []),
    ],
)
def test_an_import_is_seen_however_it_is_written(source: str, expected: list[str]) -> None:
    """Absolute, relative, deferred and type-only imports all count."""
    known = {"asrlab.errors", "asrlab.weights"}
    found = imported_modules(ast.parse(source), package="asrlab.engines", known=known)
    assert [name for name, _ in found] == expected


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("asrlab", FACADE),
        ("asrlab.errors", "errors"),
        ("asrlab.engine.spec", "engine"),
        ("asrlab.evaluation", "evaluation"),
        ("asrlab.evaluation.runs.ledger", "evaluation.runs"),
        ("asrlab.tuning.calibration", "tuning.calibration"),
        ("asrlab.tuning.search", "tuning"),
    ],
)
def test_a_module_belongs_to_its_ranked_package(module: str, expected: str) -> None:
    """The longest name that LAYERS lists is a module's package."""
    assert package_of(module) == expected


def test_a_cycle_is_found() -> None:
    """A path that leads back over two names is reported, a diamond is not."""
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c", "a"]]
    assert cycles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}) == []


def test_modules_form_no_cycle() -> None:
    """Modules import each other in one direction, deferred and type-only imports included."""
    graph: dict[str, set[str]] = {}
    for each in module_imports():
        if each.target in modules() and each.target != each.importer:
            graph.setdefault(each.importer, set()).add(each.target)
    assert cycles(graph) == []


def test_functions_are_short() -> None:
    """No function has more than 60 lines, its docstring included."""
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_functions_have_few_parameters() -> None:
    """No function has more than five parameters."""
    counts = {name: len(parameters(node)) for name, node in functions()}
    assert {name: count for name, count in counts.items() if count > MAX_PARAMETERS} == {}


def test_public_packages_are_short() -> None:
    """The ``__init__.py`` of a public package only names what is public."""
    lengths = {name: len(modules()[name].read_text(encoding="utf-8").splitlines()) for name in PUBLIC_PACKAGES}
    assert {name: length for name, length in lengths.items() if length > MAX_INIT_LINES} == {}


def test_importing_a_module_has_no_effects() -> None:
    """Modules only define names: nothing is registered, called for its effect, or set in another module."""
    locations = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in modules().values()
        for line in effects_at_import(tree_of(path).body)
    ]
    assert locations == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import atexit\natexit.register(print)", [2]),
        ("import other\nother.hook = 1", [2]),
        ("@registry.register\ndef f(): ...", [2]),
        ("if True:\n    start()", [2]),
        ("for name in NAMES:\n    add(name)", [1]),
        ('"""Text."""\nA = f()\nB: int = 1\n"""Text."""', []),
        ("if __name__ == '__main__':\n    main()", []),
        ("@attrs.frozen(kw_only=True)\nclass A: ...", []),
    ],
)
def test_effects_at_import_are_found(source: str, lines: list[int]) -> None:
    """Calls, loops, assignments to attributes and registering decorators are effects; definitions are not."""
    assert list(effects_at_import(ast.parse(source).body)) == lines


def test_no_module_is_longer_than_400_lines() -> None:
    """A module of more than 400 lines is split."""
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > MAX_MODULE_LINES} == {}
