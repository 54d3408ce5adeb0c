"""Import of liquid-audio with a torchaudio that does not import."""

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
# liquid-audio imports transformers, which imports torchaudio if it is installed: transformers/audio_utils.py
_IMPORTERS = (_IMPORTER, "transformers")


class BrokenModule(ModuleType):
    """A module that does not import, and raises the error of its import when it is used.

    Attributes:
        error: The error of the import.
    """

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(name)
        self.error = error

    @property
    def reason(self) -> str:
        """The error in one line."""
        return f"{type(self.error).__name__}: {str(self.error).partition('\n')[0]}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspect and copy look for these
            raise AttributeError(f"{self.__name__} has no {name}")
        raise ImportError(f"{self.__name__}.{name}: torchaudio does not import ({self.reason})") from self.error


@contextmanager
def torchaudio_may_be_broken() -> Iterator[None]:
    """Give modules that liquid-audio imports in this block a `BrokenModule` if their import of torchaudio fails.

    If torchaudio imports, nothing changes. The `BrokenModule` is never in ``sys.modules``, so other packages do not
    use it.
    """
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """A finder for the modules that import torchaudio, if that fails, during the import of liquid-audio."""

    def __init__(self) -> None:
        self._torchaudio: ModuleType | None = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as the usual finders do, with another loader; return None to leave it to them."""
        if fullname == _IMPORTER:
            _discard_failed_import()
        package, _, rest = fullname.partition(".")
        if package not in _IMPORTERS or not rest or _IMPORTER not in sys.modules:
            return None
        if self._torchaudio is None:
            self._torchaudio = _import_torchaudio()
        if not isinstance(self._torchaudio, BrokenModule):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return spec
        if f"import {_PACKAGE}".encode() in spec.loader.get_data(spec.loader.path):
            spec.loader = _Loader(fullname, spec.loader.path, self._torchaudio)
        return spec


def _discard_failed_import() -> None:
    """Discard the modules of a failed import of liquid-audio, which a new package object would not have."""
    for name in [name for name in sys.modules if name.startswith(f"{_IMPORTER}.")]:
        del sys.modules[name]


def _import_torchaudio() -> ModuleType:
    try:
        return import_module(_PACKAGE)
    except Exception as error:  # noqa: BLE001 - a binary for another torch may raise anything
        return BrokenModule(_PACKAGE, error)


class _Loader(SourceFileLoader):
    """A loader that replaces the statement ``import torchaudio`` in a module by a given object."""

    def __init__(self, fullname: str, path: str, torchaudio: BrokenModule) -> None:
        super().__init__(fullname, path)
        self._torchaudio = torchaudio

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source, without a cache on disk."""
        path = self.get_filename(fullname)
        tree = _ImportRemover().visit(ast.parse(self.get_data(path), path))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module with the name ``torchaudio`` already defined."""
        vars(module)[_PACKAGE] = self._torchaudio
        super().exec_module(module)


class _ImportRemover(ast.NodeTransformer):
    """A transformer that removes ``import torchaudio`` from a module, but not from its functions."""

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        """Replace the statement by ``pass``."""
        is_torchaudio = [(alias.name, alias.asname) for alias in node.names] == [(_PACKAGE, None)]
        return ast.copy_location(ast.Pass(), node) if is_torchaudio else node

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.stmt:
        """Return a function or class unchanged."""
        return node

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef  # noqa: N815 - the names of ast
