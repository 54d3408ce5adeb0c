"""Writes the skeleton from its templates."""

from __future__ import annotations

import tempfile
from pathlib import Path

from asrlab._version import __version__
from asrlab.errors import OptionError
from asrlab.output_files import output_error
from asrlab.plugins.template.names import SkeletonNames
from asrlab.spec import PLUGIN_API

__all__ = ["write_skeleton"]

_FILES = {
    "pyproject.toml": "pyproject.toml.j2",
    "README.md": "README.md.j2",
    "src/{package}/__init__.py": "init.py.j2",
    "src/{package}/asrlab_plugin.py": "asrlab_plugin.py.j2",
    "src/{package}/transcriber.py": "transcriber.py.j2",
    "tests/test_conformance.py": "test_conformance.py.j2",
}


def write_skeleton(names: SkeletonNames, folder: Path) -> tuple[Path, ...]:
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


def _write(path: Path, template: object, names: SkeletonNames) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = template.render(names=names, api=PLUGIN_API, version=__version__)  # type: ignore[attr-defined] # jinja2's
    path.write_text(text, encoding="utf-8")
