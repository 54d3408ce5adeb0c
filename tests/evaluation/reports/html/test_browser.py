"""The report in Chromium."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from asrlab.evaluation import bench, report
from asrlab.evaluation.metrics import Resampling
from asrlab.testing.in_process import InProcessExecutor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from selenium.webdriver import Chrome

    from asrlab.evaluation.runs.result import BenchResult

FEW = Resampling(resamples=200)
TABLE = "#utterance-table"
# Returns the number of visible texts, and those whose contrast by WCAG 2.1 is too low.
CONTRAST = """
const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const weights = [0.2126, 0.7152, 0.0722];
const light = (colour) => weights.reduce((sum, weight, at) => sum + weight * linear(colour[at] / 255), 0);
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0.99) return colour;
  }
  return [255, 255, 255];
};
const low = [];
let seen = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  const unseen = node.closest("script, style, option, .vh") || !node.getClientRects().length;
  if (unseen || !walker.currentNode.textContent.trim()) continue;
  const style = getComputedStyle(node);
  const ink = node.ownerSVGElement ? style.fill : style.color;
  const [a, b] = [light(parse(ink)), light(behind(node.ownerSVGElement ? node.ownerSVGElement.parentElement : node))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  seen += 1;
  if (ratio < 4.5) low.push([walker.currentNode.textContent.trim(), ink, ratio.toFixed(2)]);
}
return [seen, low];
"""


def cells(chrome: Chrome, selector: str, column: int) -> list[str]:
    """Return the texts of a column."""
    script = """
    const rows = [...document.querySelectorAll(arguments[0] + " tbody tr")];
    return rows.map((row) => row.cells[arguments[1]].innerText.trim());
    """
    return list(chrome.execute_script(script, selector, column))


def console_messages(chrome: Chrome) -> list[str]:
    """Return the messages in the console since the page was opened."""
    return [entry["message"] for entry in chrome.get_log("browser")]


def header(chrome: Chrome, selector: str, column: int) -> Any:
    """Return the button that sorts a column."""
    return chrome.find_elements("css selector", f"{selector} thead th button")[column]


def test_a_page_loads_from_disk_without_messages(page: Path, browse: Callable[..., Chrome]):
    """The page loads by its path, without console messages and without fetching anything."""
    chrome = browse(page)

    assert chrome.current_url.startswith("file://")
    assert chrome.find_element("css selector", "h1").text == "set"
    assert console_messages(chrome) == []
    assert chrome.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)") == []


def test_a_header_sorts_and_states_the_direction(page: Path, browse: Callable[..., Chrome]):
    """The first press sorts numbers from the highest, the second from the lowest; aria-sort has the direction."""
    chrome = browse(page)
    button = header(chrome, "table.summary", 1)
    assert cells(chrome, "table.summary", 0)[0].startswith("A a/right")

    button.click()
    assert cells(chrome, "table.summary", 0)[0].startswith("B b/wrong")
    sorts = "return [...document.querySelectorAll('table.summary th[aria-sort]')].map((each) => each.ariaSort)"
    assert chrome.execute_script(sorts)[:2] == ["none", "descending"]
    button.click()
    assert cells(chrome, "table.summary", 0)[0].startswith("A a/right")
    assert chrome.execute_script(sorts)[:2] == ["none", "ascending"]


def test_all_utterances_are_sorted_and_paged(page: Path, browse: Callable[..., Chrome]):
    """The table shows fifty utterances at a time, sorts all of them, and has buttons to page."""
    chrome = browse(page)
    assert len(cells(chrome, TABLE, 0)) == 50
    assert chrome.find_element("id", "page").text == "1 to 50 of 120"

    header(chrome, TABLE, 6).click()  # errors of b/wrong
    assert [cell.split()[0] for cell in cells(chrome, TABLE, 6)[:2]] == ["10/10", "1/10"]
    chrome.find_element("id", "last").click()
    assert chrome.find_element("id", "page").text == "101 to 120 of 120"
    assert not chrome.find_element("id", "next").is_enabled()


def test_filters_select_utterances(page: Path, browse: Callable[..., Chrome]):
    """Utterances are filtered by words and kind; screen readers announce the number."""
    chrome = browse(page)
    only = chrome.find_element("id", "only")
    shown = chrome.find_element("id", "shown")

    only.find_element("css selector", "[value=findings]").click()
    assert cells(chrome, TABLE, 0) == ["u7", "u9"]
    assert shown.text == "2 of 120 utterances"
    assert shown.get_attribute("aria-live") == "polite"
    only.find_element("css selector", "[value=all]").click()
    chrome.find_element("id", "find").send_keys("BOX bob")
    chrome.execute_async_script("setTimeout(arguments[0], 200)")
    assert shown.text == "0 of 120 utterances"
    chrome.find_element("id", "find").clear()
    chrome.find_element("id", "find").send_keys("box ann")
    chrome.execute_async_script("setTimeout(arguments[0], 200)")
    assert shown.text == "40 of 120 utterances"


def test_an_utterance_opens_with_its_words_marked(page: Path, browse: Callable[..., Chrome]):
    """The button states whether the utterance is open; differences are in del and ins, with text for screen readers."""
    chrome = browse(page)
    button = chrome.find_element("css selector", f"{TABLE} .more")

    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    opened = chrome.find_element("css selector", ".opened")
    assert opened.find_element("css selector", "del").get_attribute("textContent") == "missing: fox, "
    assert opened.find_element("css selector", "ins").get_attribute("textContent") == "inserted: box, "
    assert opened.find_element("css selector", ".diff").get_attribute("lang") == "en"
    button.click()
    assert chrome.find_elements("css selector", ".opened") == []


def test_it_can_be_used_with_the_keyboard(page: Path, browse: Callable[..., Chrome]):
    """Tab reaches a link to the results; Enter sorts and Space opens rows; the focus is outlined."""
    from selenium.webdriver.common.keys import Keys

    chrome = browse(page)
    chrome.find_element("css selector", "body").send_keys(Keys.TAB)
    assert chrome.switch_to.active_element.text == "Skip to the results"
    chrome.switch_to.active_element.send_keys(Keys.ENTER)
    assert chrome.switch_to.active_element.get_attribute("id") == "main"

    chrome.execute_script("document.querySelector('#utterance-table thead button').focus()")
    chrome.switch_to.active_element.send_keys(Keys.ENTER, Keys.ENTER)
    assert cells(chrome, TABLE, 0)[0] == "u119"
    focused = chrome.switch_to.active_element
    outline = "return getComputedStyle(arguments[0]).outlineStyle"
    assert chrome.execute_script(outline, focused) == "solid"
    for _ in range(8):  # past the other headers, to the first utterance
        chrome.switch_to.active_element.send_keys(Keys.TAB)
    chrome.switch_to.active_element.send_keys(Keys.SPACE)
    assert len(chrome.find_elements("css selector", ".opened")) == 1


HOSTILE = (
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 2'>",
    "</script><script>window.hit = 3</script>",
    "<svg onload=window.hit=4></svg><a href='javascript:window.hit=5'>here</a>",
    "{{ 7 * 7 }} {% raw %} ]]> --> <!-- \u2028 \u202e \x00",
)


@pytest.fixture(scope="module")
def hostile(model: Callable[..., Any], run: Callable[..., BenchResult], tmp_path_factory: Any) -> Path:
    """A page of a run in which every external text tries to run a script."""
    texts = list(HOSTILE) * 2
    made = model('x/"><script>window.hit=6</script>', texts, each={"language": 'en"><script>window.hit=7</script>'})
    bad = "' onmouseover='window.hit=8' x='\"><script>window.hit=9</script>"
    utterances = tuple(
        attrs.evolve(each, id=f"{bad}{index}", speaker=HOSTILE[0], reference=f"{SAFE} {HOSTILE[1]} spoken")
        for index, each in enumerate(made.utterances)
    )
    other = attrs.evolve(made, model="y/</title><script>window.hit=10</script>", utterances=utterances)
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    result = run(attrs.evolve(made, utterances=utterances), other, name=HOSTILE[2])
    report(attrs.evolve(result, dataset=HOSTILE[0]), resampling=FEW, bootstrap_unit="utterance").write(path)
    return path


SAFE = "what was"


def test_planted_markup_stays_text(hostile: Path, browse: Callable[..., Chrome]):
    """Scripts in texts, ids, speakers, languages and names are shown and never run."""
    chrome = browse(hostile)
    for button in chrome.find_elements("css selector", f"{TABLE} .more"):
        button.click()

    assert console_messages(chrome) == []
    assert chrome.execute_script("return window.hit") is None
    made = "return document.querySelectorAll(arguments[0]).length"
    live = "img, iframe, object, [onerror], [onload], [onmouseover], [href^='javascript:']"
    assert chrome.execute_script(made, live) == 0
    assert chrome.execute_script(made, "script") == 2
    assert HOSTILE[0] in chrome.find_element("css selector", "h1").text
    assert HOSTILE[0] in chrome.title
    shown = chrome.find_element("css selector", f"{TABLE} tbody").text
    assert "window.hit=9</script>" in shown
    assert HOSTILE[1] in shown


def test_the_policy_blocks_planted_content(page: Path, browse: Callable[..., Chrome], tmp_path: Path):
    """The policy blocks an inline script, a handler, a style and an external image that bypass the escaping."""
    planted = (
        "<script>window.hit = 1</script><img src='https://example.org/a.png' onerror='window.hit = 2'>"
        "<p id=planted style='color: rgb(1, 2, 3)'>planted</p>"
    )
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text(encoding="utf-8").replace("<footer>", f"{planted}<footer>"), encoding="utf-8")
    chrome = browse(broken)

    assert chrome.execute_script("return window.hit") is None
    messages = "\n".join(console_messages(chrome))
    for directive in ("script-src", "img-src", "style-src"):
        assert re.search(rf"Content Security Policy directive[^\n]*{directive}", messages), messages
    colour = "return getComputedStyle(document.getElementById('planted')).color"
    assert chrome.execute_script(colour) != "rgb(1, 2, 3)"
    assert len(cells(chrome, TABLE, 0)) == 50, "our own script must still run"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(page: Path, browse: Callable[..., Chrome], scheme: str):
    """Each text has a contrast of at least 4.5 to 1 in both colour schemes, also in open utterances."""
    chrome = browse(page, scheme=scheme)
    for button in chrome.find_elements("css selector", f"{TABLE} .more")[:4]:
        button.click()
    chrome.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true })")

    seen, low = chrome.execute_script(CONTRAST)
    assert low == []
    assert seen > 500
    ground = chrome.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(17, 20, 24)") == (scheme == "dark")


@pytest.mark.parametrize("width", [320, 400, 768])
def test_a_narrow_window_needs_no_horizontal_scrolling(
    page: Path, hostile: Path, browse: Callable[..., Chrome], width: int
):
    """Wide tables scroll on their own; the page does not, whatever the length of names."""
    for path in (page, hostile):
        chrome = browse(path, width=width)
        sideways = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert chrome.execute_script(sideways) == 0


def test_results_show_without_javascript(page: Path, browse: Callable[..., Chrome]):
    """Summary, worst utterances and provenance are plain HTML; the table of utterances asks for JavaScript."""
    chrome = browse(page, script=False)

    text = chrome.find_element("css selector", "body").text
    assert "needs JavaScript" in text
    assert not chrome.find_element("id", "filters").is_displayed()
    assert cells_without_script(chrome) == ["A a/right", "B b/wrong"]
    assert len(chrome.find_elements("css selector", "ol.worst > li")) == 20
    assert "device requested → used" in text


def cells_without_script(chrome: Chrome) -> list[str]:
    """Return the models in the summary without running a script in the page."""
    rows = chrome.find_elements("css selector", "table.summary tbody th")
    return [row.text.partition("\n")[0] for row in rows]


def test_a_clip_plays(browse: Callable[..., Chrome], tmp_path: Path):
    """A clip in the page has its length and plays."""
    result = bench("smoke", models="echo", run=tmp_path / "run", executor=InProcessExecutor())
    report(result, audio=True, resampling=FEW).write(tmp_path / "report.html")
    chrome = browse(tmp_path / "report.html")
    played = """
    const [done] = arguments;
    const clip = document.querySelector("audio");
    clip.addEventListener("timeupdate", () => clip.currentTime > 0 && done([clip.duration, clip.currentTime]));
    clip.addEventListener("error", () => done(clip.error.message));
    clip.play().catch((error) => done(String(error)));
    """

    assert len(chrome.find_elements("css selector", "audio")) == 5
    length, at = chrome.execute_async_script(played)
    assert 2 < length < 8
    assert at > 0
    assert console_messages(chrome) == []
