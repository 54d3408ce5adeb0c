"""``asrlab plugins`` and ``asrlab new-plugin``: list plugins, and write a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import DONE, SOME_FAILED, Command

if TYPE_CHECKING:
    from pathlib import Path

EPILOG = """\b
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


@click.command(cls=Command, epilog=EPILOG)
@options.as_json
def plugins(*, as_json: bool) -> int:
    """List the plugins and what each offers, and name those that failed.

    ASRLAB_DISABLE_PLUGINS=a,b disables the plugins a and b, * all that are not built in. Exits with 1 if one failed,
    and prints how to remove it.
    """
    import attrs

    from asrlab.cli.output import echo_json
    from asrlab.plugins.manager import HOOKS, PluginHost
    from asrlab.terminal.screen import open_screen
    from asrlab.terminal.table import Table

    host = PluginHost()
    rows: dict[tuple[str, str], dict[str, Any]] = {
        (plugin.distribution, plugin.name): {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            **{field: [] for field in _SINGULAR},
        }
        for plugin in host.plugins
    }
    for hook, kind in HOOKS.items():
        for plugin, item in host.collect(hook, kind):
            rows[plugin.distribution, plugin.name][hook.removeprefix("asrlab_")].append(item.name)
    failed = [attrs.asdict(failure) for failure in host.failures]
    if as_json:
        echo_json({"plugins": list(rows.values()), "failures": failed, "disabled": sorted(host.disabled)})
    else:
        cells = []
        for row in rows.values():
            offers = [f"{singular} {name}" for field, singular in _SINGULAR.items() for name in row[field]]
            distribution = f"{row['distribution']} {row['version']}".strip()
            cells.append((row["name"], distribution, "\n".join(offers) or "-"))
        open_screen().show(Table(columns=("plugin", "distribution", "offers"), rows=cells, texts=3))
    return SOME_FAILED if failed else DONE


@click.command(cls=Command, name="new-plugin", epilog=NEW_PLUGIN_EPILOG)
@click.argument("name")
@click.option("--folder", type=options.FilePath(), help="Folder to write to; ./NAME if not given.")
@options.as_json
def new_plugin(name: str, *, folder: Path | None, as_json: bool) -> None:
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
        return
    for path in files:
        click.echo(path)
    click.echo(
        f"next:\n  cd {shlex.quote(str(folder))}\n  {install_command('-e', '.')}\n  pytest\n"
        f"then write your engine in {files[-2].relative_to(folder)}, as docs/tutorial/writing-a-plugin.md explains",
        err=True,
    )
