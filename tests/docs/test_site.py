"""The built pages: complete, with valid links, and displayed correctly in Chromium."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

import asrlab
from doc_blocks import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from selenium.webdriver import Chrome

    Browse = Callable[..., Chrome]

GENERATED = {"genindex", "py-modindex", "search"}
PAGES_WITH_WIDE_CONTENT = (
    "index",
    "how-to/guide",
    "reference/python",
    "reference/commands",
    "reference/status",
    "explanation/throughput",
)


class _Page(HTMLParser):
    """Parser that collects the links and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        attributes = dict(attrs)
        self.anchors.add(attributes.get("id") or "")
        if link := attributes.get("href") or attributes.get("src"):
            self.links.add(link)


def test_every_page_is_built(site: Path) -> None:
    """Every source file has a built page."""
    sources = {page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    built = {page.relative_to(site).with_suffix("").as_posix() for page in site.rglob("*.html")}
    assert sources == built - GENERATED


def test_links_of_built_pages_have_existing_targets(site: Path) -> None:
    """Every local link points to an existing file and to an existing anchor in the file."""
    pages = {path: _Page(path) for path in site.rglob("*.html")}
    broken = set()
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_valid = target.exists() and (target not in pages or unquote(parts.fragment) in pages[target].anchors)
            if not is_valid:
                broken.add((path.name, link))
    assert broken == set()


def test_the_reference_describes_every_public_name(site: Path) -> None:
    """Each public name has its own anchor on the page of the Python API."""
    anchors = _Page(site / "reference" / "python.html").anchors
    assert {f"asrlab.{name}" for name in asrlab.__all__} - {"asrlab.evaluation"} <= anchors | {
        "asrlab.patches",
        "asrlab.plugin",
    }


def test_the_reference_has_every_command(site: Path) -> None:
    """The reference page has the help of every command."""
    from asrlab.cli.main import asrlab as group

    text = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name in group.lazy:
        assert re.search(rf"Usage: asrlab {name}\b", text), name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_follows_the_colour_scheme(site: Path, browse: Browse, scheme: str) -> None:
    """The background follows the colour scheme of the system, and the browser logs no error."""
    chrome = browse(site / "index.html", scheme=scheme)
    colour = chrome.execute_script("return getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
    assert brightness > 200 if scheme == "light" else brightness < 60
    assert chrome.get_log("browser") == []


@pytest.mark.parametrize("page", PAGES_WITH_WIDE_CONTENT)
def test_a_narrow_screen_needs_no_horizontal_scrolling(site: Path, browse: Browse, page: str) -> None:
    """Tables and code scroll in their own boxes on a narrow screen."""
    chrome = browse(site / f"{page}.html", width=360)
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= 360
