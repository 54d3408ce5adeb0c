"""Links from page to page, and to files of the tree, lead somewhere."""

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


def tokens_of(path: Path) -> list[Token]:
    """A page taken apart."""
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def links_of(path: Path) -> Iterator[str]:
    """Where its links lead, those within itself and to files."""
    for token in tokens_of(path):
        for child in token.children or ():
            if child.type == "link_open" and not re.match(r"https?:", target := str(child.attrs["href"])):
                yield target


def anchors_of(path: Path) -> set[str]:
    """The anchors of its headings, as GitHub and Sphinx make them."""
    tokens = tokens_of(path)
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """The file is there, and the heading in it."""
    path = ROOT / page
    broken = []
    for target in links_of(path):
        name, _, anchor = target.partition("#")
        file = (path.parent / name) if name else path
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(target)
    assert broken == []


def test_pages_named_in_the_code_are_there() -> None:
    """In help, messages and docstrings."""
    named = {
        (name, path.name)
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert named
    assert {(name, file) for name, file in named if not (ROOT / name).exists()} == set()
