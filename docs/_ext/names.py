"""Public names: warnings for undocumented ones, links by name from any module, attributes with types."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sphinx.util import logging
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from docutils.nodes import TextElement, reference
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

MODULES = (
    "asrlab",
    "asrlab.batching",
    "asrlab.evaluation",
    "asrlab.evaluation.metrics",
    "asrlab.patches",
    "asrlab.plugin",
    "asrlab.testing",
)

# what napoleon writes of an attribute: the directive, its text, and at the end its type
ATTRIBUTE = re.compile(r"^( *)(\.\. attribute:: \w+)\n((?:\n|\1 +.*\n)*?)\1   :type: (.*)\n", re.MULTILINE)

logger = logging.getLogger(__name__)


def check(app: Sphinx, env: BuildEnvironment) -> None:  # noqa: ARG001 - Sphinx calls it so
    """Compare the exported names of modules with the documented names."""
    described = {full.rpartition(".")[2] for full in env.domains.python_domain.objects}
    for module in MODULES:
        for name in sorted(set(import_module(module).__all__) - described - {"evaluation", "patches", "plugin"}):
            logger.warning("no page of the reference describes %s.%s", module, name)


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: TextElement) -> reference | None:
    """Return a link to the object with the name of *node* in any module, if there is exactly one."""
    if node.get("refdomain") != "py":
        return None
    target: str = node["reftarget"]
    name = target.rsplit(".", 1)[-1] if target.startswith("asrlab.") else target
    described = env.domains.python_domain.objects
    places = {(entry.docname, entry.node_id) for full, entry in described.items() if f".{full}".endswith(f".{name}")}
    if len(places) != 1:
        return None
    [(page, place)] = places
    return make_refnode(app.builder, node["refdoc"], page, place, content, target)


def beside(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Make the type of an attribute an option of its directive, which shows the type in Python syntax."""
    text = ATTRIBUTE.sub(r"\1\2\n\1   :type: \4\n\3\n", "\n".join(lines) + "\n")
    lines[:] = text.split("\n")


def whole(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Keep napoleon from reading the text before a colon in a property's first line as its type."""
    if what == "property":
        lines[:0] = ["..", ""]  # an empty comment


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the checks to Sphinx's events."""
    app.connect("env-check-consistency", check)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", whole, priority=100)  # before napoleon
    app.connect("autodoc-process-docstring", beside, priority=900)  # after napoleon
    return {"parallel_read_safe": True}
