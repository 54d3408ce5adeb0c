"""Delegation to the installed upstream package of the names that a replacement lacks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module, util
from types import ModuleType
from typing import Any

from asrlab.errors import EngineUnavailableError
from asrlab.installation import install_command
from asrlab.upstream import find_upstream, import_upstream

_PREFIX = "asrlab.compat."
_DISTRIBUTIONS = {"whisper": "openai-whisper", "faster_whisper": "faster-whisper"}


def delegate_missing(name: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of the replacement module *name*, which finds what upstream's module has.

    A module that is imported by upstream's name, below a replacement in ``sys.modules``, becomes the one in
    `asrlab.compat`, so that each class exists once.
    """
    if not name.startswith(_PREFIX):
        original = import_module(_PREFIX + name)
        original.__class__ = _ReplacementModule
        sys.modules[name] = original
    upstream = name.removeprefix(_PREFIX)

    def get(attribute: str) -> Any:
        if attribute.startswith("__"):  # Python's own lookups
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        package, _, is_below = upstream.partition(".")
        if not is_below and util.find_spec(f"{_PREFIX}{package}.{attribute}") is not None:
            return import_module(f"{_PREFIX}{package}.{attribute}")
        if find_upstream(package) is None:
            distribution = _DISTRIBUTIONS[package]
            install = install_command(f"asrlab[{distribution}]")
            raise EngineUnavailableError(
                f"asrlab has no {upstream}.{attribute} of its own, and {distribution}, which may have it, is not "
                f"installed; run: {install}",
                engine=distribution,
                install=install,
            )
        return getattr(import_upstream(upstream), attribute)

    return get


class _ReplacementModule(ModuleType):
    """A module that the function of its name can be called through, such as ``whisper.transcribe``.

    Python sets an imported submodule as an attribute of its package, in place of the function.
    """

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return vars(self)[self.__name__.rpartition(".")[2]](*arguments, **named)
