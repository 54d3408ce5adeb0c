"""Modules that the help of the command line loads, and the texts of the help."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import click
import pytest

from asrlab.cli.main import COMMANDS, asrlab

PROGRAM = """
import gc, json, sys
sys.argv = ["asrlab", *sys.argv[1:]]
before = set(sys.modules)
from asrlab.__main__ import main
try:
    main()
except SystemExit as exit_info:
    assert exit_info.code == 0, exit_info.code
json.dump([gc.isenabled(), sorted(set(sys.modules) - before)], sys.stderr)
"""
SHARED_MODULES = {
    "asrlab",
    "asrlab.__main__",
    "asrlab._lazy",
    "asrlab._version",
    "asrlab.cli",
    "asrlab.cli.command",
    "asrlab.cli.main",
    "asrlab.control_characters",
    "asrlab.errors",
    "asrlab.terminal",
}


@cache
def modules_loaded_by_help(*arguments: str) -> tuple[bool, frozenset[str], frozenset[str]]:
    """Return whether collections are enabled at the end, asrlab's modules, and the other packages that were loaded."""
    process = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    enabled, modules = json.loads(process.stderr)
    own = frozenset(module for module in modules if module.partition(".")[0] == "asrlab")
    others = frozenset(module.partition(".")[0] for module in modules) - {"asrlab"} - sys.stdlib_module_names
    return enabled, own, others


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_loads_only_what_it_prints(name: str) -> None:
    """The help of a command loads click, the module of the command, and the options that it shares with others."""
    _, own, others = modules_loaded_by_help(*([name] if name else []), "--help")
    expected = SHARED_MODULES | ({COMMANDS[name][0]} if name else set())
    assert own - {"asrlab.cli.options"} == expected
    assert ("asrlab.cli.options" in own) == (name not in {"", "completion"})
    assert others == {"click"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_repeats_the_first_sentence_of_each_help(name: str) -> None:
    """The short help in the table of commands is the first sentence of the command's help, and an example follows."""
    command = asrlab.get_command(click.Context(asrlab), name)
    assert command is not None
    assert command.help is not None
    assert " ".join(command.help.partition("\n\n")[0].split()) == COMMANDS[name][1]
    assert command.name == name
    assert f"  asrlab {name}" in (command.epilog or "").replace("ASRLAB_DISABLE_PLUGINS='*' ", "")


def test_an_unknown_command_is_refused() -> None:
    """A name that is not in the table has no command."""
    assert asrlab.get_command(click.Context(asrlab), "transcribes") is None


def test_a_command_that_runs_collects_garbage() -> None:
    """Garbage is not collected while the help is built, and collected again while a command runs."""
    assert modules_loaded_by_help("--help")[0] is False
    assert modules_loaded_by_help("completion", "bash")[0] is True
