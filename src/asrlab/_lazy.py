"""Lazy public names of a package, numpy and PyAV, which are imported from their modules when they are first used."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing and collections.abc take longer to import than the rest of `import asrlab` together
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import av
    import numpy as np

__all__ = ["attach", "av", "np"]


class _LazyModule:
    """Module *name*, which is imported when one of its attributes is first used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        from importlib import import_module

        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


if not TYPE_CHECKING:
    av, np = _LazyModule("av"), _LazyModule("numpy")


def attach(
    package: str, modules: Mapping[str, str], submodules: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for *package*.

    Args:
        package: Dotted name of the package.
        modules: Public names, separated by spaces, by the dotted module that defines them.
        submodules: Names of public modules of *package*, separated by spaces.
    """
    module_of = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        from importlib import import_module

        if name in submodules.split():
            return import_module(f"{package}.{name}")
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    names = sorted((*module_of, *submodules.split()))
    return get, lambda: names, names
