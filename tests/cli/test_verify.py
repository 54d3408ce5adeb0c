"""Tests of ``asrlab verify``, which checks documents against records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from asrlab.cli.verify import verify
from asrlab.errors import DatasetError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with a document whose claims have no records."""
    (tmp_path / "evidence").mkdir()
    (tmp_path / "README.md").write_text(
        "LFM2.5-Audio works on MPS.\n\n"
        'The WER is 3 %. <!-- asrlab:allow reason="published" -->\n\n'
        "<!-- asrlab:begin wer -->\n<!-- asrlab:end -->\n",
        encoding="utf-8",
    )
    return tmp_path


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(verify, [str(argument) for argument in arguments], standalone_mode=False)


def test_findings_have_the_format_of_compiler_errors(tree: Path):
    """Each finding has file, line, column, text, fault and fix, and the exit code is 1."""
    result = _run(tree / "README.md")
    assert result.return_value == 1
    lines = result.output.splitlines()
    assert lines[0].startswith(f"{tree / 'README.md'}:1:14: status: 'works on MPS': no record backs this (")
    assert f"{tree / 'README.md'}:6:1: differs: 'wer': the block differs from the records; run: " in result.output
    assert "@@ -5,0 +6,4 @@" in result.output
    assert "+| model | device |" in result.output
    assert f"{tree / 'README.md'}:3: allowed: 3 % (published)" in lines
    assert lines[-1] == "1 document, 1 generated part from 0 records: 2 findings"


def test_write_changes_only_generated_blocks(tree: Path):
    """--write updates the generated block and keeps the claim, and a second call writes nothing."""
    result = _run(tree / "README.md", "--write")
    assert (result.return_value, result.output.count(": updated")) == (1, 1)
    path = tree / "README.md"
    text = path.read_text(encoding="utf-8")
    assert text.startswith("LFM2.5-Audio works on MPS.\n")
    path.write_text(text.replace("LFM2.5-Audio works on MPS.\n", ""), encoding="utf-8")
    result = _run(tree, "--write")
    assert (result.return_value, result.output.count(": updated")) == (0, 0)


def test_json_has_the_findings(tree: Path):
    """--json prints one object with the fields of every finding."""
    result = _run(tree / "README.md", "--json")
    plain = json.loads(result.output)
    assert [(finding["kind"], finding["line"], finding["column"]) for finding in plain["findings"]] == [
        ("status", 1, 14),
        ("differs", 6, 1),
    ]
    assert plain["waivers"][0]["figures"] == ["3 %"]


@pytest.mark.parametrize(
    "arguments",
    [(), ("--device", "cpu", "README.md"), ("--rerun", "a.jsonl", "README.md"), ("--rerun", "a.jsonl", "--write")],
    ids=["nothing", "device", "both", "write"],
)
def test_conflicting_arguments_are_a_usage_error(arguments: tuple[str, ...]):
    """Missing arguments, and options that do not match the arguments, are a usage error."""
    result = CliRunner().invoke(verify, arguments)
    assert result.exit_code == 2


def test_a_missing_path_is_bad_input(tree: Path):
    """A missing document, folder of records or record is bad input."""
    for arguments in ((tree / "no.md",), (tree, "--evidence", tree / "no"), ("--rerun", tree / "no.jsonl")):
        assert isinstance(_run(*arguments).exception, DatasetError)


def test_the_command_exits_with_its_codes(asrlab_cli: Any, tree: Path):
    """A claim without a record exits with 1, and an unreadable record exits with 4 and names file and line."""
    result = asrlab_cli("verify", tree / "README.md")
    assert (result.code, result.err) == (1, "")
    (tree / "evidence" / "bad.jsonl").write_text("{}\n{\n", encoding="utf-8")
    result = asrlab_cli("verify", tree / "README.md")
    assert result.code == 4
    assert "bad.jsonl, line" in result.err
