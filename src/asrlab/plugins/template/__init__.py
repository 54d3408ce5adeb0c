"""The template of a plugin package: a hook, a recognizer, and its tests.

The package works as written, with a recognizer that only tells sound from silence.
"""

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
    """The names of the parts of a plugin package.

    Attributes:
        distribution: Name of the distribution, such as ``asrlab-morse``.
        package: Name of the Python package, such as ``asrlab_morse``.
        engine: Name of the engine, such as ``morse``.
        recognizer: Name of the class, such as ``MorseRecognizer``.
    """

    distribution: str
    package: str
    engine: str
    recognizer: str

    @classmethod
    def from_distribution(cls, name: str, *, taken: Iterable[str] = ()) -> PluginNames:
        """Derive the names from the name of a distribution; the engine's name does not include the prefix ``asrlab-``.

        Raises:
            OptionError: If *name* cannot name a distribution, a Python package, and an engine that is not *taken*.
        """
        if not _NAME.fullmatch(name):
            raise OptionError(
                f"{name!r} cannot name a plugin; use lower case words separated by hyphens, such as asrlab-morse",
                option="name",
            )
        package, engine = name.replace("-", "_"), name.removeprefix(_PREFIX)
        if keyword.iskeyword(package) or package in sys.stdlib_module_names or package == "asrlab":
            raise OptionError(
                f"{name!r} would hide the Python module {package!r}; choose another name, such as asrlab-{name}",
                option="name",
            )
        if engine in taken:
            raise OptionError(f"engine {engine!r} exists already; choose another name than {name!r}", option="name")
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
    """Write a plugin package into a new *folder*, and return its files.

    Raises:
        OptionError: If *folder* exists.
        OutputError: If *folder* cannot be written; nothing is left of it then.
    """
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - the templates are not HTML, and the inserted names were checked
        loader=jinja2.PackageLoader(__name__), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    if folder.exists() or folder.is_symlink():
        raise OptionError(f"{folder} exists already; choose another folder with --folder", option="folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".asrlab-") as temporary:
            package = Path(temporary) / "package"
            for path, template in _FILES.items():
                file = package / path.format(package=names.package)
                file.parent.mkdir(parents=True, exist_ok=True)
                text = environment.get_template(template).render(names=names, api=PLUGIN_API, version=__version__)
                file.write_text(text, encoding="utf-8")
            package.rename(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    return tuple(folder / path.format(package=names.package) for path in _FILES)
