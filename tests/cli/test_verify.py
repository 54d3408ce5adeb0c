"""``asrlab verify``: documents held against records."""

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
    """A document that claims too much, beside no records."""
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


def test_findings_are_told_as_compilers_tell_of_errors(tree: Path):
    """File, line and column, what stands there, what is wrong, what to do; the exit code is 1."""
    ran = _run(tree / "README.md")
    assert ran.return_value == 1
    lines = ran.output.splitlines()
    assert lines[0].startswith(f"{tree / 'README.md'}:1:14: status: 'works on MPS': no record backs this (")
    assert f"{tree / 'README.md'}:6:1: differs: 'wer': the block differs from the records; run: " in ran.output
    assert "@@ -5,0 +6,4 @@" in ran.output
    assert "+| model | device |" in ran.output
    assert f"{tree / 'README.md'}:3: allowed: 3 % (published)" in lines
    assert lines[-1] == "1 document, 1 generated part from 0 records: 2 findings"


def test_writing_leaves_what_a_person_has_to_mend(tree: Path):
    """The table is brought up to date, the sentence stays and is still told; the second time nothing is written."""
    ran = _run(tree / "README.md", "--write")
    assert (ran.return_value, ran.output.count(": updated")) == (1, 1)
    path = tree / "README.md"
    text = path.read_text(encoding="utf-8")
    assert text.startswith("LFM2.5-Audio works on MPS.\n")
    path.write_text(text.replace("LFM2.5-Audio works on MPS.\n", ""), encoding="utf-8")
    ran = _run(tree, "--write")
    assert (ran.return_value, ran.output.count(": updated")) == (0, 0)


def test_json_holds_the_same(tree: Path):
    """One object, with every finding's fields."""
    ran = _run(tree / "README.md", "--json")
    told = json.loads(ran.output)
    assert [(each["kind"], each["line"], each["column"]) for each in told["findings"]] == [
        ("status", 1, 14),
        ("differs", 6, 1),
    ]
    assert told["waivers"][0]["figures"] == ["3 %"]


@pytest.mark.parametrize(
    "arguments",
    [(), ("--device", "cpu", "README.md"), ("--rerun", "a.jsonl", "README.md"), ("--rerun", "a.jsonl", "--write")],
    ids=["nothing", "device", "both", "write"],
)
def test_what_makes_no_sense_is_usage(arguments: tuple[str, ...]):
    """Documents or a record, each with its own options."""
    ran = CliRunner().invoke(verify, arguments)
    assert ran.exit_code == 2


def test_what_is_not_there_is_bad_input(tree: Path):
    """A document, a folder of records, a record."""
    for arguments in ((tree / "no.md",), (tree, "--evidence", tree / "no"), ("--rerun", tree / "no.jsonl")):
        assert isinstance(_run(*arguments).exception, DatasetError)


def test_the_command_exits_with_its_codes(asrlab_cli: Any, tree: Path):
    """1 where something is said that no record says, 4 where a record cannot be read, with its file and line."""
    ran = asrlab_cli("verify", tree / "README.md")
    assert (ran.code, ran.err) == (1, "")
    (tree / "evidence" / "bad.jsonl").write_text("{}\n{\n", encoding="utf-8")
    ran = asrlab_cli("verify", tree / "README.md")
    assert ran.code == 4
    assert "bad.jsonl, line" in ran.err
