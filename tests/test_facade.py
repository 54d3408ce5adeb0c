"""Importing asrlab is cheap, and its public names are what it says they are."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import asrlab
from asrlab import errors

HEAVY = (
    "numpy",
    "torch",
    "pluggy",
    "attrs",
    "attr",
    "click",
    "rich",
    "soundfile",
    "av",
    "soxr",
    "ctranslate2",
    "jiwer",
)


def loaded_after(code: str) -> set[str]:
    """The top-level modules in a fresh interpreter after *code*."""
    report = f"{code}\nimport sys\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_loads_nothing_heavy():
    """``import asrlab`` loads neither numpy nor torch nor pluggy nor any other dependency."""
    assert loaded_after("import asrlab").isdisjoint(HEAVY)


def test_help_loads_no_engine():
    """``asrlab --help`` loads no engine, no torch and no numpy."""
    code = "from asrlab.cli.main import asrlab\ntry:\n    asrlab(['--help'])\nexcept SystemExit:\n    pass"
    loaded = loaded_after(code)
    assert "click" in loaded
    assert loaded.isdisjoint({"numpy", "torch", "ctranslate2", "faster_whisper", "whisper", "pluggy", "rich"})


def test_listing_models_loads_no_engine():
    """Listing the models loads neither torch nor an engine."""
    loaded = loaded_after("import asrlab\nassert len(asrlab.list_models()) > 20")
    assert loaded.isdisjoint({"torch", "ctranslate2", "faster_whisper", "whisper"})


def test_public_names_are_importable_and_sorted():
    """``__all__`` is sorted as ruff sorts it and every name in it can be had."""
    assert len(set(asrlab.__all__)) == len(asrlab.__all__)
    assert all(getattr(asrlab, name) is not None for name in asrlab.__all__)
    assert dir(asrlab) == sorted(asrlab.__all__)


@pytest.mark.parametrize(
    "package",
    ["asrlab", "asrlab.evaluation", "asrlab.evaluation.metrics", "asrlab.patches", "asrlab.plugin", "asrlab.testing"],
)
def test_the_stub_holds_the_same_names(package: str):
    """A package's stub, which type checkers and editors read, imports exactly the package's public names."""
    module = importlib.import_module(package)
    path = Path(module.__file__ or "").with_suffix(".pyi")
    names = {alias.asname for node in ast.parse(path.read_text()).body for alias in node.names}
    assert names - {"__version__"} == set(module.__all__)
    assert len(Path(module.__file__ or "").read_text().splitlines()) <= 50


def test_an_unknown_name_is_an_attribute_error():
    """A mistyped name fails as it does for any module."""
    with pytest.raises(AttributeError, match="lod"):
        asrlab.lod  # noqa: B018 - the access is what is tested


@pytest.mark.parametrize(
    "name",
    sorted(
        error.__name__
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.AsrlabError) and error is not errors.AsrlabError
    ),
)
def test_errors_keep_their_facts_when_pickled(name: str):
    """An error that crosses a process boundary keeps its message and attributes."""
    error = getattr(errors, name)("what, where, what next")
    error.extra = "fact"
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    assert (type(copy), str(copy), copy.__dict__) == (type(error), "what, where, what next", error.__dict__)
    assert isinstance(copy, errors.AsrlabError)


PACKAGES = ("asrlab", "asrlab.evaluation", "asrlab.evaluation.metrics", "asrlab.patches", "asrlab.plugin")


@pytest.mark.parametrize("package", PACKAGES)
def test_types_of_public_results_are_public(package: str):
    """Every class of asrlab that a public function, method or property returns is exported by a public package."""
    public = {value for name in PACKAGES for value in exports(name) if inspect.isclass(value)}
    missing = {
        returned.__qualname__
        for value in exports(package)
        for function in functions_of(value)
        for returned in classes_in(returned_type(function))
        if returned not in public
    }
    assert missing == set()


def returned_type(function: typing.Any) -> typing.Any:
    """Return the type that *function* declares; names that its module imports for type checkers may be public ones."""
    hint = function.__annotations__["return"]
    names = {
        name: value for package in PACKAGES for name, value in zip(names_of(package), exports(package), strict=True)
    }
    names |= vars(sys.modules[function.__module__]) | {
        parameter.__name__: parameter for parameter in getattr(function, "__type_params__", ())
    }
    try:
        return eval(hint, names) if isinstance(hint, str) else hint  # noqa: S307 - a type of this package
    except NameError:  # of another package
        return typing.Any


def names_of(package: str) -> list[str]:
    """Return the names that *package* exports."""
    return list(importlib.import_module(package).__all__)


def exports(package: str) -> list[typing.Any]:
    """Return the objects that *package* exports."""
    module = importlib.import_module(package)
    return [getattr(module, name) for name in names_of(package)]


def functions_of(value: typing.Any) -> list[typing.Any]:
    """Return *value* if it is a function of asrlab, or the public methods and property getters of a class."""
    if inspect.isclass(value):
        members = [getattr(member, "fget", member) for name, member in vars(value).items() if not name.startswith("_")]
    else:
        members = [value]
    return [
        member
        for member in members
        if inspect.isfunction(member) and member.__module__.startswith("asrlab") and "return" in member.__annotations__
    ]


def classes_in(hint: typing.Any) -> set[type]:
    """Return the classes of asrlab in a type."""
    if inspect.isclass(hint) and not typing.get_args(hint) and hint is not typing.Any:
        return {hint} if hint.__module__.startswith("asrlab") else set()
    return set().union(*(classes_in(argument) for argument in typing.get_args(hint)))
