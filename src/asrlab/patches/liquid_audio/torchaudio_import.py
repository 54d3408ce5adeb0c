"""Imports liquid-audio where torchaudio does not import."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

_PACKAGE = "torchaudio"
_IMPORTER = "liquid_audio"
# transformers, which liquid-audio imports, imports torchaudio where it is installed: transformers/audio_utils.py
_IMPORTERS = (_IMPORTER, "transformers")


class BrokenModule(ModuleType):
    """A module that does not import, whose error is raised when the module is used.

    Attributes:
        error: What the import raised.
    """

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(name)
        self.error = error

    @property
    def reason(self) -> str:
        """The error in one line."""
        return f"{type(self.error).__name__}: {str(self.error).partition('\n')[0]}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what inspect and copy look for
            raise AttributeError(f"{self.__name__} has no {name}")
        raise ImportError(f"{self.__name__}.{name}: torchaudio does not import ({self.reason})") from self.error


@contextmanager
def torchaudio_may_be_broken() -> Iterator[None]:
    """Let modules that liquid-audio imports in this block have a `BrokenModule` where their import of torchaudio fails.

    Where torchaudio imports, nothing is different. ``sys.modules`` never has the stand-in: no other package sees it.
    """
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """Finds the modules that import torchaudio, if that fails, while liquid-audio is imported."""

    def __init__(self) -> None:
        self._torchaudio: ModuleType | None = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module where the usual finders do, to be loaded in another way; None leaves it to them."""
        if fullname == _IMPORTER:
            _forget_failed_import()
        package, _, rest = fullname.partition(".")
        if package not in _IMPORTERS or not rest or _IMPORTER not in sys.modules:
            return None
        if self._torchaudio is None:
            self._torchaudio = _torchaudio()
        if not isinstance(self._torchaudio, BrokenModule):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return spec
        if f"import {_PACKAGE}".encode() in spec.loader.get_data(spec.loader.path):
            spec.loader = _Loader(fullname, spec.loader.path, self._torchaudio)
        return spec


def _forget_failed_import() -> None:
    """Drop the modules that a failed import of liquid-audio has left, which a new package object would not have."""
    for name in [name for name in sys.modules if name.startswith(f"{_IMPORTER}.")]:
        del sys.modules[name]


def _torchaudio() -> ModuleType:
    try:
        return import_module(_PACKAGE)
    except Exception as error:  # noqa: BLE001 - a binary for another torch may raise anything
        return BrokenModule(_PACKAGE, error)


class _Loader(SourceFileLoader):
    """Loads a module from its source without the statement ``import torchaudio``, and with the name."""

    def __init__(self, fullname: str, path: str, torchaudio: BrokenModule) -> None:
        super().__init__(fullname, path)
        self._torchaudio = torchaudio

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source; what is compiled is never cached on disk."""
        path = self.get_filename(fullname)
        tree = _WithoutImport().visit(ast.parse(self.get_data(path), path))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, which finds torchaudio's name in place."""
        vars(module)[_PACKAGE] = self._torchaudio
        super().exec_module(module)


class _WithoutImport(ast.NodeTransformer):
    """Takes ``import torchaudio`` out of a module. Functions keep theirs, which raises when they are called."""

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        """Replace the statement by ``pass``."""
        ours = [(alias.name, alias.asname) for alias in node.names] == [(_PACKAGE, None)]
        return ast.copy_location(ast.Pass(), node) if ours else node

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.stmt:
        """Leave a function or class as it is."""
        return node

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef  # noqa: N815 - the names of ast
