"""``asrlab plugins`` and ``asrlab new-plugin``: the installed plugins, and a template for another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import exit_codes
from asrlab.cli.command import Command
from asrlab.cli.options import FilePath, as_json

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.plugins.manager import PluginHost

PLUGINS_EPILOG = """\b
Examples:
  asrlab plugins
  ASRLAB_DISABLE_PLUGINS='*' asrlab plugins
"""
NEW_PLUGIN_EPILOG = """\b
Examples:
  asrlab new-plugin asrlab-morse
  asrlab new-plugin my-engine --folder work/my-engine
"""

_SINGULAR = {"engines": "engine", "datasets": "dataset", "patches": "patch"}


@click.command(cls=Command, epilog=PLUGINS_EPILOG)
@as_json
def plugins(*, as_json: bool) -> int:
    """List the plugins and what each offers, and name those that failed.

    ASRLAB_DISABLE_PLUGINS=a,b disables the plugins a and b, * all that are not built in. Exits with 1 if one failed,
    and prints how to remove it.
    """
    import attrs

    from asrlab.cli.output import echo_json
    from asrlab.plugins.manager import PluginHost

    host = PluginHost()
    rows = _rows(host)
    failed = [attrs.asdict(failure) for failure in host.failures]
    if as_json:
        echo_json({"plugins": rows, "failures": failed, "disabled": sorted(host.disabled)})
    else:
        _show(rows)
    return exit_codes.SOME_FAILED if failed else exit_codes.DONE


def _rows(host: PluginHost) -> list[dict[str, Any]]:
    from asrlab.plugins.manager import HOOKS

    rows: dict[tuple[str, str], dict[str, Any]] = {
        (plugin.distribution, plugin.name): {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "engines": [],
            "datasets": [],
            "patches": [],
        }
        for plugin in host.plugins
    }
    for hook, kind in HOOKS.items():
        for plugin, item in host.collect(hook, kind):
            rows[plugin.distribution, plugin.name][hook.removeprefix("asrlab_")].append(item.name)
    return list(rows.values())


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from asrlab.cli.output import console
    from asrlab.terminal.screen import Text

    table = Table()
    for name in ("plugin", "distribution", "offers"):
        table.add_column(name, overflow="fold")
    for row in rows:
        offers = [f"{singular} {name}" for field, singular in _SINGULAR.items() for name in row[field]]
        distribution = f"{row['distribution']} {row['version']}".strip()
        table.add_row(*map(Text, (row["name"], distribution, ", ".join(offers) or "-")))
    console().print(table)


@click.command(cls=Command, name="new-plugin", epilog=NEW_PLUGIN_EPILOG)
@click.argument("name")
@click.option("--folder", type=FilePath(), help="Folder to write to; ./NAME if not given.")
@as_json
def new_plugin(name: str, *, folder: Path | None, as_json: bool) -> int:
    """Write a plugin package called NAME that adds an engine.

    The package works as written and passes the conformance kit. NAME is the name of a distribution: lower case words
    with hyphens between. asrlab- in front is left out of the engine's name.
    """
    import shlex
    from pathlib import Path

    from asrlab.cli.output import echo_json
    from asrlab.installation import install_command
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.plugins.template import PluginNames, write_plugin

    taken = [alias for spec in Registry(PluginHost()).engines() for alias in (spec.name, *spec.aliases)]
    names = PluginNames.from_distribution(name, taken=taken)
    folder = folder or Path(name)
    files = write_plugin(names, folder)
    if as_json:
        facts = {"folder": str(folder), "engine": names.engine, "package": names.package}
        echo_json(facts | {"files": [*map(str, files)]})
        return exit_codes.DONE
    for path in files:
        click.echo(path)
    click.echo(
        f"next:\n  cd {shlex.quote(str(folder))}\n  {install_command('-e', '.')}\n  pytest\n"
        f"then write your engine in {files[-2].relative_to(folder)}, as docs/tutorial/writing-a-plugin.md explains",
        err=True,
    )
    return exit_codes.DONE
