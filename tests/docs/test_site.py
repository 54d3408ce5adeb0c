"""The built pages: complete, with links that lead somewhere, and in Chromium as a reader sees them."""

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
WIDE = ("index", "how-to/guide", "reference/python", "reference/commands", "reference/status", "explanation/throughput")


class _Page(HTMLParser):
    """Its links and the places in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        given = dict(attrs)
        self.places.add(given.get("id") or "")
        if link := given.get("href") or given.get("src"):
            self.links.add(link)


def test_every_page_is_built(site: Path) -> None:
    """Each source has its page."""
    sources = {page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    built = {page.relative_to(site).with_suffix("").as_posix() for page in site.rglob("*.html")}
    assert sources == built - GENERATED


def test_links_of_built_pages_lead_somewhere(site: Path) -> None:
    """To files that are there, and to places in them."""
    pages = {path: _Page(path) for path in site.rglob("*.html")}
    broken = set()
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            found = target.exists() and (target not in pages or unquote(parts.fragment) in pages[target].places)
            if not found:
                broken.add((path.name, link))
    assert broken == set()


def test_the_reference_describes_every_public_name(site: Path) -> None:
    """Each public name has its own anchor on the page of the Python API."""
    places = _Page(site / "reference" / "python.html").places
    assert {f"asrlab.{name}" for name in asrlab.__all__} - {"asrlab.evaluation"} <= places | {
        "asrlab.patches",
        "asrlab.plugin",
    }


def test_the_reference_has_every_command(site: Path) -> None:
    """With its help as the terminal shows it."""
    from asrlab.cli.main import asrlab as group

    text = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name in group.lazy:
        assert re.search(rf"Usage: asrlab {name}\b", text), name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_obeys_the_colour_scheme(site: Path, browse: Browse, scheme: str) -> None:
    """The ground is light or dark as the system is, and the console has no complaint."""
    chrome = browse(site / "index.html", scheme=scheme)
    colour = chrome.execute_script("return getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
    assert brightness > 200 if scheme == "light" else brightness < 60
    assert chrome.get_log("browser") == []


@pytest.mark.parametrize("page", WIDE)
def test_a_narrow_screen_needs_no_sideways_scrolling(site: Path, browse: Browse, page: str) -> None:
    """Tables and code scroll within themselves."""
    chrome = browse(site / f"{page}.html", width=360)
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= 360
