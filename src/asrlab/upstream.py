"""Packages that a drop-in replacement of `asrlab.compat` stands for in ``sys.modules``, imported nevertheless.

A program may set ``sys.modules["whisper"] = asrlab.compat.whisper``, and the engine openai-whisper imports ``whisper``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, util
from importlib.machinery import ModuleSpec
from threading import RLock
from types import ModuleType

_KEPT = "asrlab.upstream:"
"""Prefix of the names in ``sys.modules`` of packages that were imported while replaced."""
_lock = RLock()


@contextmanager
def upstream_modules(package: str | None) -> Iterator[None]:
    """Put the real *package* back into ``sys.modules`` for the imports in the block; None changes nothing.

    Each module of the package exists once in the process, whether it is imported before, during or after a replacement.
    """
    if package is None:
        yield
        return
    with _lock:
        replaced = {name: module for name, module in _entries(package) if _is_replacement(module)}
        for name in replaced:
            del sys.modules[name]
        for name, module in _entries(_KEPT + package):
            sys.modules.setdefault(name.removeprefix(_KEPT), module)
            del sys.modules[name]
        try:
            yield
        finally:
            if package in replaced:
                for name, module in _entries(package):
                    sys.modules[_KEPT + name] = module
                    del sys.modules[name]
            sys.modules.update(replaced)


def import_upstream(name: str) -> ModuleType:
    """Import module *name* of the real package, also if ``sys.modules`` has a replacement.

    Raises:
        ImportError: If the package is not installed, or has no such module.
    """
    package = name.partition(".")[0]
    if _is_replacement(sys.modules.get(package)) and (kept := sys.modules.get(_KEPT + name)) is not None:
        return kept
    with upstream_modules(package):
        return import_module(name)


def find_upstream(package: str) -> ModuleSpec | None:
    """Return the spec of the real *package* without an import, as ``importlib.util.find_spec`` does."""
    with upstream_modules(package):
        return util.find_spec(package)


def _entries(package: str) -> list[tuple[str, ModuleType]]:
    """Return the modules of *package* by name."""
    # a copy, because other threads import
    return [item for item in list(sys.modules.items()) if item[0] == package or item[0].startswith(f"{package}.")]


def _is_replacement(module: ModuleType | None) -> bool:
    """Return whether *module* belongs to `asrlab.compat`, perhaps under an upstream name."""
    path = str(getattr(module, "__file__", None) or "")
    return path.startswith(f"{__file__.removesuffix('upstream.py')}compat")
