"""How Sphinx builds these pages: ``nox -s docs``, or ``sphinx-build -W -n --keep-going -b html docs build/html``."""

from __future__ import annotations

import sys
from pathlib import Path

from asrlab import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "asrlab"
copyright = "the asrlab authors"  # noqa: A001 - Sphinx's name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "commands", "names"]
exclude_patterns = ["_ext"]
nitpicky = True
default_role = "py:obj"  # `Name` in a docstring leads to what has that name

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]  # where a number or a formula comes from
napoleon_use_ivar = False  # so that `attribute` leads to it

nitpick_ignore_regex = [
    # Python's own and other packages' names: their inventories need a network
    (r"py:.*", r"(collections\.abc|contextlib|importlib|os|pathlib|numpy|np|pandas|pd|pluggy)\..+"),
    (r"py:.*", r"PathLike|NDArray|Path|Callable|Iterable|Iterator|Sequence|Mapping"),
    # types in the signatures of asrlab.compat.whisper
    (r"py:.*", r"(asrlab\.compat\.whisper\.\w+\.)?(Arguments|TranscriptionResult)|dict\[str"),
    # type parameters, and objects that only asrlab creates
    (r"py:class", r"Features|Encoded|Item|T"),
    (
        r"py:class",
        r"asrlab\.(audio\.decoder|testing\.conformance\.\w+)\.(OpenedSource|Check)|Backend|Check",
    ),
]

html_theme = "furo"
html_title = f"asrlab {version}"
html_copy_source = False
html_show_sphinx = False
