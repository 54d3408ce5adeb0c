"""Links between pages and to files of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from doc_blocks import ROOT, find_pages

PAGES = [str(page.relative_to(ROOT)) for page in find_pages()]


def parse_page(path: Path) -> list[Token]:
    """Return the Markdown tokens of a page."""
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def local_links(path: Path) -> Iterator[str]:
    """Yield the targets of the page's links to anchors and files."""
    for token in parse_page(path):
        for child in token.children or ():
            if child.type == "link_open" and not re.match(r"https?:", target := str(child.attrs["href"])):
                yield target


def heading_anchors(path: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub and Sphinx generate them."""
    tokens = parse_page(path)
    titles = [inline.content for token, inline in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_have_existing_targets(page: str) -> None:
    """Every link points to an existing file and to an existing heading in the file."""
    path = ROOT / page
    broken = []
    for target in local_links(path):
        name, _, anchor = target.partition("#")
        file = (path.parent / name) if name else path
        if not file.exists() or (anchor and anchor not in heading_anchors(file)):
            broken.append(target)
    assert broken == []


def test_pages_named_in_the_code_exist() -> None:
    """Every page that the code names in help, messages or docstrings exists."""
    references = {
        (name, path.name)
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert references
    assert {(name, file) for name, file in references if not (ROOT / name).exists()} == set()
