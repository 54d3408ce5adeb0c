"""The directive ``asrlab-commands``: the output of ``--help`` of each command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from docutils import nodes
from docutils.parsers.rst import Directive

from asrlab.cli.main import asrlab

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WIDTH = 90  # characters, what the page holds


class Commands(Directive):
    """A section for each command, with its help as a terminal shows it."""

    def run(self) -> list[nodes.Node]:
        """Write them in the order of ``asrlab --help``."""
        settings: dict[str, Any] = dict(asrlab.context_settings) | {"max_content_width": WIDTH, "terminal_width": WIDTH}
        group = click.Context(asrlab, info_name="asrlab", **settings)
        helps = [("asrlab", asrlab.get_help(group))]
        commands = {name: asrlab.get_command(group, name) for name in asrlab.list_commands(group)}
        helps += [
            (f"asrlab {name}", command.get_help(click.Context(command, group, name, **settings)))
            for name, command in commands.items()
            if command
        ]
        return [self._section(title, text) for title, text in helps]

    def _section(self, title: str, text: str) -> nodes.section:
        section = nodes.section(names=[nodes.fully_normalize_name(title)])
        section += nodes.title(title, "", nodes.literal(title, title))
        section += nodes.literal_block(text, text, language="text")
        self.state.document.note_implicit_target(section, section)
        return section


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("asrlab-commands", Commands)
    return {"parallel_read_safe": True}
