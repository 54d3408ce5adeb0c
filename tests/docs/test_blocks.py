"""The code blocks of the documentation: none escapes, and each does what its page says."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import SkipTest

import pytest
from sybil import Document
from sybil.example import SybilFailure

from doc_blocks import GIVEN, ROOT, commands_of, find_blocks, find_pages, matches, parse_blocks

FENCE = re.compile(r"^ *(`{3,}|~{3,})", re.MULTILINE)
PAGES = [str(page.relative_to(ROOT)) for page in find_pages()]


def evaluate(text: str, folder: Path) -> None:
    """Run all blocks of a page as pytest would."""
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    document = Document.parse(str(page), parse_blocks)
    document.namespace["page_folder"] = folder
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES)
def test_no_block_of_a_page_escapes(page: str) -> None:
    """As many blocks are found as there are fences, and each is run, parsed, shown, or says why it is not run."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = [block for block in find_blocks(text) if block.kind != "given"]
    inner = sum(len(FENCE.findall(block.code)) for block in blocks)
    assert 2 * len(blocks) == len(FENCE.findall(text)) - inner
    assert [(block.lines[0] + 1, block.language) for block in blocks if block.kind == "unmarked"] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_is_given_is_known(page: str) -> None:
    """A comment names files that can be made, and tests that know the page; a reason is more than a word."""
    for block in find_blocks((ROOT / page).read_text(encoding="utf-8")):
        if block.kind == "given":
            assert set(block.code.split()) <= set(GIVEN)
        assert block.reason is None or len(block.reason.split()) > 2
        assert not block.test or Path(page).name in (ROOT / block.test).read_text(encoding="utf-8")


def test_every_page_has_a_place() -> None:
    """No page lies deeper than those that are run."""
    assert set((ROOT / "docs").rglob("*.md")) <= set(find_pages())


@pytest.mark.parametrize(
    "block",
    [
        "```bash\ntrue\n```",
        "```\n$ true\n```",
        "```text\n$ asrlab models\n```",
        "```text\nimport asrlab\n```",
        "```{code-block} python\n1\n```",
        "    indented = True",
        "<!-- not run: it is text -->\n\n```text\nx\n```",
        "- in a list\n\n  ```ruby\n  puts 1\n  ```",
    ],
    ids=["language", "none", "shell as text", "python as text", "sphinx", "indented", "reason for no code", "nested"],
)
def test_a_block_that_nobody_runs_is_an_error(block: str, tmp_path: Path) -> None:
    """It fails where it stands, and says how to mark it."""
    with pytest.raises(SybilFailure, match="neither run nor marked"):
        evaluate(block, tmp_path)


def test_a_reason_skips_the_next_block_only(tmp_path: Path) -> None:
    """The reason is told, and the block behind is run."""
    marked = "<!-- not run: it needs a Mac -->\n\n```python\n1 / 0\n```\n"
    with pytest.raises(SkipTest, match="not run: it needs a Mac"):
        evaluate(marked, tmp_path)
    (second,) = [block for block in find_blocks(marked + "\n```python\n1 / 0\n```\n") if block.kind == "run"]
    assert second.lines[0] == 6


def test_a_page_may_be_run_by_a_test_of_its_own(tmp_path: Path) -> None:
    """Its blocks are skipped with the name of that test; what nobody can run stays an error."""
    page = "<!-- run by: tests/test_it.py -->\n\n"
    with pytest.raises(SkipTest, match=r"run by tests/test_it\.py"):
        evaluate(page + "```python\n1 / 0\n```\n", tmp_path)
    with pytest.raises(SybilFailure, match="neither run nor marked"):
        evaluate(page + "```ruby\nputs 1\n```\n", tmp_path)


def test_a_reason_before_no_block_is_an_error() -> None:
    """It would be taken for the next block's."""
    with pytest.raises(ValueError, match="stands before no block"):
        list(find_blocks("<!-- not run: it needs a Mac -->\n\nText.\n\n```python\n1\n```\n"))


def test_blocks_share_the_page_s_folder(tmp_path: Path) -> None:
    """What one writes the next one reads."""
    evaluate("```sh\necho hello > a\n```\n\n```console\n$ cat a\nhello\n```\n", tmp_path)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("```sh\nfalse\ntrue\n```", "exit code 1"),
        ("```sh\nfalse | true\n```", "exit code 1"),
        ("```sh\necho $NO_SUCH_VARIABLE\n```", "unbound"),
        ("```console\n$ echo one; exit 3\none\n```", "exit code 3"),
        ("```console\n$ echo one\ntwo\n```", "the page shows:\ntwo\nit gave:\none"),
    ],
    ids=["a command", "in a pipe", "a variable", "in a console", "output"],
)
def test_a_command_that_does_not_do_what_is_shown_fails(block: str, message: str, tmp_path: Path) -> None:
    """By its exit code, or by its output."""
    with pytest.raises(SybilFailure, match=message):
        evaluate(block, tmp_path)


def test_data_that_cannot_be_parsed_fails(tmp_path: Path) -> None:
    """TOML and JSON are read by their parsers."""
    with pytest.raises(ValueError, match="line 1"):
        evaluate("```toml\nname = \n```", tmp_path)


def test_dots_stand_for_what_varies() -> None:
    """They stand for anything, lines too; the rest must be there, in order and to the end."""
    assert matches("took ... s\n...\nend", "took 0.31 s\nmore\nand more\nend\n")
    assert matches("...", "")
    assert not matches("took ... s", "took 0.31 s\nmore")
    assert not matches("a.c", "abc")


def test_a_console_has_commands_of_several_lines() -> None:
    """A line with ``> `` goes on with the command, until there is output."""
    code = "$ cat <<END\n> hello\n> END\nhello\n> quoted\n$ true\n"
    assert commands_of(code) == [("cat <<END\nhello\nEND", "hello\n> quoted"), ("true", "")]


def test_output_before_any_command_is_an_error() -> None:
    """A console begins with a command."""
    with pytest.raises(ValueError, match="begins with a command"):
        commands_of("hello\n$ true\n")
