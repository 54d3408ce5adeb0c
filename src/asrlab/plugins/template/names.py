"""The names of a plugin package that follow from one."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterable

import attrs

from asrlab.errors import OptionError

__all__ = ["SkeletonNames"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PREFIX = "asrlab-"


@attrs.frozen(kw_only=True)
class SkeletonNames:
    """What the parts of a plugin package are called.

    Attributes:
        distribution: Such as ``asrlab-morse``.
        package: Such as ``asrlab_morse``.
        engine: Such as ``morse``.
        transcriber: The class, such as ``MorseTranscriber``.
    """

    distribution: str
    package: str
    engine: str
    transcriber: str

    @classmethod
    def of(cls, name: str, *, taken: Iterable[str] = ()) -> SkeletonNames:
        """The names that follow from a distribution's.

        Args:
            name: Lower case words, digits and hyphens; ``asrlab-`` in front is left out of the engine's name.
            taken: Names of engines that there are.

        Raises:
            OptionError: It cannot be the name of a distribution, a Python package, and an engine.
        """
        if not _NAME.fullmatch(name):
            raise OptionError(
                f"{name!r} cannot name a plugin; write lower case words with hyphens between, such as asrlab-morse",
                option="name",
            )
        package, engine = name.replace("-", "_"), name.removeprefix(_PREFIX)
        if keyword.iskeyword(package) or package in sys.stdlib_module_names or package == "asrlab":
            raise OptionError(
                f"{name!r} would hide the Python module {package!r}; choose another name, such as asrlab-{name}",
                option="name",
            )
        if engine in taken:
            raise OptionError(
                f"there is an engine {engine!r} already; choose another name than {name!r}", option="name"
            )
        words = "".join(word.capitalize() for word in engine.split("-"))
        return cls(distribution=name, package=package, engine=engine, transcriber=f"{words}Transcriber")
