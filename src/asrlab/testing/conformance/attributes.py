"""Functions and classes of all imported modules, and which of them were replaced."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Self

import attrs

__all__ = ["Attributes"]

_FOLLOWS_DTYPE = ("torch", "Storage")  # told as torch's default dtype
# When they are imported, typing_extensions replaces functions of typing, and joblib's loky one of SemLock.
_NOT_THE_ENGINES = ("typing", "multiprocessing.synchronize", "asrlab.testing")


@attrs.frozen(kw_only=True, eq=False)
class Attributes:
    """The functions and classes that modules and classes held at one time.

    Attributes:
        held: Each by the object that holds it and its name; kept alive, so that no identity is given twice.
        without: A package that is left out.
    """

    held: Mapping[tuple[str, str], tuple[Any, Any]]
    without: str

    @classmethod
    def now(cls, *, without: str) -> Self:
        """As they are, but for those of the package *without*."""
        return cls(held=dict(_all(without)), without=without)

    def changed(self) -> tuple[str, ...]:
        """The names of those that are another object now, such as ``torch.load``; what came or went is left out."""
        return tuple(
            sorted(
                f"{place}.{name}"
                for (place, name), (holder, value) in self.held.items()
                if vars(holder).get(name, value) is not value
            )
        )


def _all(without: str) -> Iterator[tuple[tuple[str, str], tuple[Any, Any]]]:
    modules: list[tuple[str, Any]] = [*sys.modules.items()]
    for module_name, module in modules:
        if not isinstance(module, ModuleType):  # packages put other objects there
            continue
        if _is_within(module_name, (without, *_NOT_THE_ENGINES)):
            continue
        for name, value in [*vars(module).items()]:
            if callable(value) and (module_name, name) != _FOLLOWS_DTYPE:
                yield (module_name, name), (module, value)
            if issubclass(type(value), type) and value.__module__ == module_name:
                yield from _of_class(f"{module_name}.{name}", value)


def _is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _of_class(place: str, holder: type) -> Iterator[tuple[tuple[str, str], tuple[Any, Any]]]:
    for name, value in [*vars(holder).items()]:
        if callable(value) or isinstance(value, property | classmethod):
            yield (place, name), (holder, value)
