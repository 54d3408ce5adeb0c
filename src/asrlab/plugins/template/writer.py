"""The names of a plugin package that follow from one."""

from __future__ import annotations

import keyword
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import attrs

from asrlab._version import __version__
from asrlab.engine.spec import PLUGIN_API
from asrlab.errors import OptionError
from asrlab.output_files import output_error

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PREFIX = "asrlab-"


@attrs.frozen(kw_only=True)
class PluginNames:
    """What the parts of a plugin package are called.

    Attributes:
        distribution: Such as ``asrlab-morse``.
        package: Such as ``asrlab_morse``.
        engine: Such as ``morse``.
        recognizer: The class, such as ``MorseRecognizer``.
    """

    distribution: str
    package: str
    engine: str
    recognizer: str

    @classmethod
    def of(cls, name: str, *, taken: Iterable[str] = ()) -> PluginNames:
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
        return cls(distribution=name, package=package, engine=engine, recognizer=f"{words}Recognizer")


_FILES = {
    "pyproject.toml": "pyproject.toml.j2",
    "README.md": "README.md.j2",
    "src/{package}/__init__.py": "init.py.j2",
    "src/{package}/asrlab_plugin.py": "asrlab_plugin.py.j2",
    "src/{package}/recognizer.py": "recognizer.py.j2",
    "tests/test_conformance.py": "test_conformance.py.j2",
}


def write_plugin(names: PluginNames, folder: Path) -> tuple[Path, ...]:
    """Write a plugin package into *folder*, which must not be there yet; return its files.

    Raises:
        OptionError: *folder* is there already.
        OutputError: It cannot be written; nothing of it is there then.
    """
    import jinja2

    loader = jinja2.PackageLoader("asrlab.plugins.template")
    # no page is made here, and what is put in are names that were checked
    environment = jinja2.Environment(  # noqa: S701
        loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    if folder.exists() or folder.is_symlink():
        raise OptionError(
            f"{folder} is there already, and nothing is written over; name another with --folder", option="folder"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".asrlab-") as parts:
            whole = Path(parts) / "package"
            for place, template in _FILES.items():
                _write(whole / place.format(package=names.package), environment.get_template(template), names)
            whole.rename(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    return tuple(folder / place.format(package=names.package) for place in _FILES)


def _write(path: Path, template: object, names: PluginNames) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = template.render(names=names, api=PLUGIN_API, version=__version__)  # type: ignore[attr-defined] # jinja2's
    path.write_text(text, encoding="utf-8")
