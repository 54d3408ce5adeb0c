"""``asrlab doctor``, ``patches``, ``plugins`` and ``new-plugin``: this installation and what extends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import DONE, SOME_FAILED, Command

if TYPE_CHECKING:
    from pathlib import Path

DOCTOR_EPILOG = """\b
Examples:
  asrlab doctor
  asrlab doctor --engine faster-whisper
  asrlab doctor --verify-weights
  asrlab doctor --json | jq '.findings[] | select(.status == "problem")'
"""
PATCHES_EPILOG = """\b
Examples:
  asrlab patches
  asrlab patches --device mps --json
  asrlab patches --engine liquid-audio
"""
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

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
_SINGULAR = {"engines": "engine", "datasets": "dataset", "patches": "patch"}


@click.command(cls=Command, epilog=DOCTOR_EPILOG)
@options.engine_filter
@options.flag("--verify-weights", description="Read and hash all stored weights, even those checked before.")
@options.as_json
def doctor(engines: tuple[str, ...], *, verify_weights: bool, as_json: bool) -> int:
    """Check python, decoders, plugins, engines, devices and weights.

    Combinations of versions that do not work are reported, too. The engines are imported in processes of their own.
    Exits with 1 if there is a problem.
    """
    import attrs

    from asrlab.cli.output import echo_json
    from asrlab.cli.progress import StatusLine
    from asrlab.doctor.checks import run_checks
    from asrlab.terminal.screen import Text, open_screen

    status, screen = StatusLine("checking"), open_screen()
    findings = []
    for finding in run_checks(engines=engines, verify_weights=verify_weights, progress=status.show):
        findings.append(finding)
        if as_json:
            continue
        status.clear()
        label = (f"{finding.status:8}", _STYLES[finding.status])
        screen.print(Text.assemble(label, (finding.component, "bold"), f": {finding.detail}"), soft_wrap=True)
        if finding.cure:
            screen.print(Text(f"        fix: {finding.cure}"), soft_wrap=True)
    problems, notes = (sum(finding.status == kind for finding in findings) for kind in ("problem", "note"))
    if as_json:
        echo_json({"findings": [attrs.asdict(finding) for finding in findings]})
    else:
        click.echo(f"{len(findings)} checks, {problems} problems, {notes} notes")
    return SOME_FAILED if problems else DONE


@click.command(cls=Command, epilog=PATCHES_EPILOG)
@options.device_option
@click.option("--patches", metavar="CHOICE", help="auto, off, or names with commas.")
@options.engine_filter
@options.as_json
def patches(*, device: str, patches: str | None, engines: tuple[str, ...], as_json: bool) -> int:
    """List all known patches with their status here and their reason.

    Each patch is applied for DEVICE, verified and undone, in a process that imports the packages it changes. The link
    leads to the upstream issue. Exits with 1 if a patch is needed and fails.
    """
    from asrlab.cli.output import echo_json
    from asrlab.cli.progress import StatusLine
    from asrlab.doctor.probes import try_all_patches
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    host = PluginHost()
    specs = [spec for spec, _ in Registry(host).offers(engines)] if engines else None
    progress = StatusLine("importing").show
    tried = try_all_patches(host, device=device, choice=patches, engines=specs, progress=progress)
    rows = [_patch_row(patch, status) for patch, status in tried]
    if as_json:
        echo_json({"device": device, "patches": rows})
    else:
        _show_patches(rows)
    return SOME_FAILED if any(row["status"] == "failed" for row in rows) else DONE


def _patch_row(patch: Any, status: Any) -> dict[str, Any]:
    import attrs

    status_fields = attrs.asdict(status, filter=lambda attribute, _: attribute.name != "link")  # the patch's issue_url
    hidden = ("changes", "check", "verify", "reason", "import_context")
    facts = attrs.asdict(patch, filter=lambda attribute, _: attribute.name not in hidden, recurse=False)
    return status_fields | facts | {"why": patch.reason, "changes": list(patch.changes)}


def _show_patches(rows: list[dict[str, Any]]) -> None:
    from asrlab.terminal.screen import Text, open_screen

    screen = open_screen()
    for row in rows:
        screen.print(Text(f"{row['name']}: {row['status']}", style="bold"), soft_wrap=True)
        lines = {
            "here": row["reason"],
            "why": row["why"],
            "for": f"{row['distribution']} on {', '.join(row['devices'])}; tested with {', '.join(row['versions'])}",
            "upstream": row["issue_url"],
            "obsolete": row["obsolete_when"],
        }
        for label, text in lines.items():
            screen.print(Text(f"  {label:<9} {text}"), soft_wrap=True)


@click.command(cls=Command, epilog=PLUGINS_EPILOG)
@options.as_json
def plugins(*, as_json: bool) -> int:
    """List the plugins and what each offers, and name those that failed.

    ASRLAB_DISABLE_PLUGINS=a,b disables the plugins a and b, * all that are not built in. Exits with 1 if one failed,
    and prints how to remove it.
    """
    import attrs

    from asrlab.cli.output import echo_json, new_table
    from asrlab.plugins.manager import HOOKS, PluginHost
    from asrlab.terminal.screen import open_screen

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
            cells.append((row["name"], distribution, ", ".join(offers) or "-"))
        open_screen().print(new_table(("plugin", "distribution", "offers"), cells, texts=3))
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
