"""Warns of public names that no page of the reference describes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

MODULES = ("asrlab", "asrlab.batching", "asrlab.errors", "asrlab.plugins.hookspecs", "asrlab.testing")
NOT_DESCRIBED = ("asrlab.__version__",)  # a string

logger = logging.getLogger(__name__)


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Compare what modules export with what is described."""
    described = env.domains.python_domain.objects
    for module in MODULES:
        for name in import_module(module).__all__:
            full = f"{module}.{name}"
            if full not in described and full not in NOT_DESCRIBED:
                logger.warning("no page of the reference describes %s", full)


def setup(app: Sphinx) -> dict[str, bool]:
    """Check when all pages were read."""
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True}
