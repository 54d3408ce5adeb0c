"""Code blocks of the documentation: every block is checked, and every block does what its page says."""

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
    """Run all blocks of a page in the same way as pytest."""
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    document = Document.parse(str(page), parse_blocks)
    document.namespace["page_folder"] = folder
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_is_checked(page: str) -> None:
    """Every fenced block of a page is run, parsed, declared as shown, or has a reason not to be run."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = [block for block in find_blocks(text) if block.kind != "given"]
    n_inner_fences = sum(len(FENCE.findall(block.code)) for block in blocks)
    assert 2 * len(blocks) == len(FENCE.findall(text)) - n_inner_fences
    assert [(block.lines[0] + 1, block.language) for block in blocks if block.kind == "unmarked"] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_comments_of_a_page_are_valid(page: str) -> None:
    """A comment names known files and tests that refer to the page, and a reason has more than two words."""
    for block in find_blocks((ROOT / page).read_text(encoding="utf-8")):
        if block.kind == "given":
            assert set(block.code.split()) <= set(GIVEN)
        assert block.reason is None or len(block.reason.split()) > 2
        assert not block.test or Path(page).name in (ROOT / block.test).read_text(encoding="utf-8")


def test_every_page_is_tested() -> None:
    """No page is in a folder deeper than the folders of the tested pages."""
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
def test_an_unmarked_block_is_an_error(block: str, tmp_path: Path) -> None:
    """A block that is neither run nor marked fails, and the error explains how to mark the block."""
    with pytest.raises(SybilFailure, match="neither run nor marked"):
        evaluate(block, tmp_path)


def test_a_reason_skips_the_next_block_only(tmp_path: Path) -> None:
    """A reason skips the next block, and the block after that is run."""
    marked = "<!-- not run: it needs a Mac -->\n\n```python\n1 / 0\n```\n"
    with pytest.raises(SkipTest, match="not run: it needs a Mac"):
        evaluate(marked, tmp_path)
    (remaining_block,) = [block for block in find_blocks(marked + "\n```python\n1 / 0\n```\n") if block.kind == "run"]
    assert remaining_block.lines[0] == 6


def test_a_page_may_be_run_by_its_own_test(tmp_path: Path) -> None:
    """The blocks are skipped with the name of the test, but a block in another language remains an error."""
    page = "<!-- run by: tests/test_it.py -->\n\n"
    with pytest.raises(SkipTest, match=r"run by tests/test_it\.py"):
        evaluate(page + "```python\n1 / 0\n```\n", tmp_path)
    with pytest.raises(SybilFailure, match="neither run nor marked"):
        evaluate(page + "```ruby\nputs 1\n```\n", tmp_path)


def test_a_reason_without_a_block_is_an_error() -> None:
    """A reason that is not directly before a block is an error, because it would apply to a later block."""
    with pytest.raises(ValueError, match="stands before no block"):
        list(find_blocks("<!-- not run: it needs a Mac -->\n\nText.\n\n```python\n1\n```\n"))


def test_the_blocks_of_a_page_share_a_folder(tmp_path: Path) -> None:
    """A block can read the files that an earlier block has written."""
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
def test_a_command_with_another_result_fails(block: str, message: str, tmp_path: Path) -> None:
    """A block fails if a command has a nonzero exit code or other output than the page shows."""
    with pytest.raises(SybilFailure, match=message):
        evaluate(block, tmp_path)


def test_invalid_data_fails(tmp_path: Path) -> None:
    """A block of TOML fails if the parser refuses the text."""
    with pytest.raises(ValueError, match="line 1"):
        evaluate("```toml\nname = \n```", tmp_path)


def test_dots_match_any_text() -> None:
    """Dots match any text, also several lines, and all other text must match in order and to the end."""
    assert matches("took ... s\n...\nend", "took 0.31 s\nmore\nand more\nend\n")
    assert matches("...", "")
    assert not matches("took ... s", "took 0.31 s\nmore")
    assert not matches("a.c", "abc")


def test_a_console_command_may_have_several_lines() -> None:
    """A line with ``> `` continues the command if it comes before the output."""
    code = "$ cat <<END\n> hello\n> END\nhello\n> quoted\n$ true\n"
    assert commands_of(code) == [("cat <<END\nhello\nEND", "hello\n> quoted"), ("true", "")]


def test_output_before_any_command_is_an_error() -> None:
    """A console block must begin with a command."""
    with pytest.raises(ValueError, match="begins with a command"):
        commands_of("hello\n$ true\n")
