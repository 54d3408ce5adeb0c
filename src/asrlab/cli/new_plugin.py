"""``asrlab new-plugin``: the skeleton of a plugin package."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from asrlab.cli import exit_codes
from asrlab.cli.options import as_json, echo_json
from asrlab.installation import install_command

EPILOG = """\b
Examples:
  asrlab new-plugin asrlab-morse
  asrlab new-plugin my-engine --folder work/my-engine
"""


@click.command(name="new-plugin", epilog=EPILOG)
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write it; ./NAME if not given.")
@as_json
def new_plugin(name: str, folder: Path | None, as_json: bool) -> int:
    """Write a plugin package called NAME that adds an engine, works as written, and passes the conformance kit.

    NAME is a distribution's: lower case words with hyphens between. asrlab- in front is left out of the engine's name.
    """
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.plugins.template import PluginNames, write_plugin

    taken = [alias for spec in Registry(PluginHost()).engines() for alias in (spec.name, *spec.aliases)]
    names = PluginNames.of(name, taken=taken)
    folder = folder or Path(name)
    files = write_plugin(names, folder)
    if as_json:
        echo_json(
            {"folder": str(folder), "engine": names.engine, "package": names.package, "files": [*map(str, files)]}
        )
        return exit_codes.DONE
    for path in files:
        click.echo(path)
    click.echo(
        f"next:\n  cd {shlex.quote(str(folder))}\n  {install_command('-e', '.')}\n  pytest\n"
        f"then put your engine into {files[-2].relative_to(folder)}; docs/tutorial/writing-a-plugin.md goes through it",
        err=True,
    )
    return exit_codes.DONE
