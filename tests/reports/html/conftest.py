"""Runs for pages, and the Chromium that opens them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from asrlab import report
from asrlab.metrics import Resampling
from asrlab.runs.records import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from selenium.webdriver import Chrome

    from asrlab.runs.result import BenchResult

INSTALL = "apt-get install --no-install-recommends chromium chromium-driver"
FEW = Resampling(resamples=200)
SPOKEN = "the quick brown fox jumps over the lazy dog today"


@pytest.fixture(scope="session")
def two_models(model: Callable[..., Any], run: Callable[..., BenchResult]) -> BenchResult:
    """A run of 120 utterances: of a/right every word is right, of b/wrong every third utterance has an error."""
    wrong = [SPOKEN.replace("fox", "box") if number % 3 == 0 else SPOKEN for number in range(120)]
    wrong[7] = None
    right = model("a/right", [SPOKEN] * 120, seconds=0.5)
    other = model("b/wrong", wrong, seconds=2.0)
    found = (Verdict(gate="repetition-loop", outcome="failed", detail='"bye" is there 9 times in a row'),)
    speakers = ("ann", "bob", "cem")
    utterances = tuple(
        attrs.evolve(each, speaker=speakers[place % 3], gates=found if place == 9 else ())
        for place, each in enumerate(other.utterances)
    )
    first = tuple(attrs.evolve(each, speaker=speakers[place % 3]) for place, each in enumerate(right.utterances))
    return run(attrs.evolve(right, utterances=first), attrs.evolve(other, utterances=utterances))


@pytest.fixture(scope="session")
def page(two_models: BenchResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That run as a page."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    report(two_models, by="utterance", resampling=FEW).write(path)
    return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chrome]:
    """One headless Chromium for all tests; it can reach no network."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed; on Debian: {INSTALL}")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = programs["chromium"] or ""
    for flag in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--autoplay-policy=no-user-gesture-required",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(programs["chromedriver"]))
    yield driver
    driver.quit()
    driver.service.stop()


@pytest.fixture
def browse(chromium: Chrome) -> Iterator[Callable[..., Chrome]]:
    """A function that opens a page from the disk, in a window of the given width and a colour scheme."""

    def opened(path: Path, *, width: int = 1280, scheme: str = "light", script: bool = True) -> Chrome:
        # a page that glides while it is being clicked on is missed
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        media = [{"name": "prefers-color-scheme", "value": scheme}, still]
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        chromium.get_log("browser")
        chromium.get(path.as_uri())
        return chromium

    yield opened
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
