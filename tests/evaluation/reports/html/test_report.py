"""The HTML of reports."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import soundfile

from asrlab import Audio, DatasetError, OptionError, OutputError
from asrlab.evaluation import Dataset, Utterance, bench, compare, report
from asrlab.evaluation.metrics import Resampling
from asrlab.evaluation.reports.page_data import linear_axis, log_axis, to_script_json
from asrlab.testing.in_process import InProcessExecutor

if TYPE_CHECKING:
    from asrlab.evaluation.runs.result import BenchResult

FEW = Resampling(resamples=200)
SAID = "the quick brown fox jumps over the lazy dog today"


class Page(HTMLParser):
    """A parsed page: every tag with its attributes, and the texts of its scripts and styles."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.text: list[str] = []
        self.open = False
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Store the tag; store the content of a script or style."""
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside.append((tag, dict(attrs), []))
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        """End the content of a script or style."""
        self.open = self.open and tag not in ("script", "style")

    def handle_data(self, data: str) -> None:
        """Store a text."""
        (self.inside[-1][2] if self.open else self.text).append(data)

    def content(self, tag: str, **wanted: str) -> str:
        """Return the content of the only such tag."""
        [found] = ["".join(text) for name, has, text in self.inside if name == tag and has == wanted]
        return found


def build_page(result: BenchResult, **options: Any) -> Page:
    """Return the page of a run."""
    return Page(report(result, **{"resampling": FEW, **options}).html)


def test_only_its_script_and_style_are_allowed(two_models: BenchResult):
    """The policy holds the hashes of the script and the style, and allows no requests."""
    page = build_page(two_models)
    [policy] = [has["content"] or "" for tag, has in page.tags if has.get("http-equiv") == "Content-Security-Policy"]

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src {source(page.content('script'))}",
        f"style-src {source(page.content('style'))}",
        "img-src data:",
        "media-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_there_are_no_inline_handlers_or_external_links(two_models: BenchResult):
    """The page has no handler and no style attribute, and links only to itself."""
    for tag, has in build_page(two_models).tags:
        assert not [name for name in has if name.startswith("on") or name == "style"], tag
        addresses = [has[name] for name in ("href", "src", "action", "poster", "data") if has.get(name)]
        assert all((address or "").startswith("#") for address in addresses), addresses


def test_a_page_shows_the_comparison(two_models: BenchResult):
    """The page shows the headline, difference, interval and notes of compare."""
    compared = compare([two_models], bootstrap_unit="utterance", resampling=FEW)
    text = " ".join(" ".join(build_page(two_models, bootstrap_unit="utterance").text).split())

    for line in (*compared.headline, *compared.notes):
        assert line in text
    [found] = compared.wer.differences
    assert f"{100 * found.interval.low:.2f} to {100 * found.interval.high:.2f}" in text
    assert f"{100 * found.difference:+.2f}" in text
    assert "the middle 95 % of WERs" in text


def test_headers_and_regions_are_labelled(two_models: BenchResult):
    """Every header has a scope, and every region a name and keyboard focus; ids are unique."""
    page = build_page(two_models)

    assert all(has.get("scope") in ("col", "row") for tag, has in page.tags if tag == "th")
    regions = [has for _, has in page.tags if has.get("role") == "region"]
    assert regions
    assert all(has.get("tabindex") == "0" and ("aria-label" in has or "aria-labelledby" in has) for has in regions)
    ids = [has["id"] for _, has in page.tags if "id" in has]
    assert len(ids) == len(set(ids))
    named = {name for _, has in page.tags for name in (has.get("aria-labelledby") or "").split()}
    assert named <= set(ids)
    assert all("lang" in has for _, has in page.tags if "diff" in (has.get("class") or ""))


def test_data_is_safe_in_a_script_element():
    """Characters that would end the element or a line are escaped, and decode unchanged."""
    value = ["</script><!-- & \u2028\u2029", "\udc80", "ü"]
    plain = str(to_script_json(value))

    assert not re.search("[<>&\u2028\u2029]", plain)
    assert json.loads(plain) == [value[0], "\\udc80", "ü"]  # the page only shows it, and shows what it is


def test_invalid_text_is_shown_as_escapes(model: Any, run: Any):
    """An id that is not valid UTF-8, such as a file name, does not break the page."""
    one = model("a/one", [SAID, "the"])
    odd = attrs.evolve(one, utterances=tuple(attrs.evolve(each, id=f"\udc80{each.id}") for each in one.utterances))
    page = build_page(run(odd))

    assert json.loads(page.content("script", type="application/json", id="data"))["rows"][1][0] == "\\udc80u1"
    assert "\\udc80u1" in page.text


def test_every_utterance_is_in_the_data(two_models: BenchResult):
    """A row has errors, time, text and differences of each system; without errors there are no differences."""
    page = build_page(two_models)
    data = json.loads(page.content("script", type="application/json", id="data"))

    assert data["systems"] == ["a/right", "b/wrong"]
    assert len(data["rows"]) == 120
    assert data["rows"][0] == [
        "u0", "ann", "en", 4.0, SAID,
        [[0, 10, 0.5, SAID, 0, []],
         [1, 10, 2.0, SAID.replace("fox", "box"),
          ["the quick brown", ["fox", "box"], "jumps over the lazy dog today"], []]],
    ]  # fmt: skip
    assert data["rows"][7][5][1] == [10, 10, None, None, [[SAID, ""]], ["crashed"]]


def test_random_weights_and_simulation_come_first(model: Any, run: Any):
    """Random weights and simulated devices are stated above the figures and beside the model."""
    text = " ".join(build_page(run(model("a/one", [SAID] * 8, random=True, simulated=True))).text)

    assert text.index("Read with care") < text.index("a/one has random weights") < text.index("How to read it")
    assert "simulated device" in text
    assert "A random" in text, "in the picture, too"
    assert "random: a/one" in text


def test_an_incomplete_run_is_not_compared(model: Any, run: Any):
    """The page of an interrupted run shows its results without verdicts."""
    text = " ".join(build_page(run(model("a/one", [SAID]), model("b/two", [SAID]), complete=False)).text)

    assert "the run monday is not complete" in text
    assert "No comparison" in text


@pytest.mark.parametrize("references", [[None, None], ["", ""]])
def test_without_references_there_is_no_error_rate(model: Any, run: Any, references: list[Any]):
    """Two models without references still have times and texts."""
    models = [model(name, ["heard", "so"], references=references) for name in ("a/one", "b/two")]
    text = " ".join(build_page(run(*models)).text)

    assert "no references, so no error rate" in text
    assert "There is no chart of errors against speed" in text


def test_a_run_without_models_makes_a_page(run: Any):
    """The page states that no model loaded."""
    assert "no model loaded" in " ".join(build_page(run()).text)


def test_nothing_to_report_is_refused():
    """A report without a run is an OptionError."""
    with pytest.raises(OptionError, match="give at least one run"):
        report([])


def test_several_runs_make_one_page(model: Any, run: Any):
    """The page compares models of two runs over the same utterances, with the facts of both runs."""
    monday, tuesday = run(model("a/one", [SAID] * 8)), run(model("b/two", ["the"] * 8), name="tuesday")
    text = " ".join(Page(report([monday, tuesday], resampling=FEW).html).text)

    assert "a/one: WER 0.00 %, 90.00 points lower than b/two" in text
    assert "monday" in text
    assert "tuesday" in text


@pytest.fixture
def smoke_run(tmp_path: Path) -> BenchResult:
    """A run of the smoke set with the echo engine, which gets everything wrong."""
    return bench("smoke", models="echo", run=tmp_path / "run", executor=InProcessExecutor())


def clips_in(page: Page) -> list[str]:
    """Return the addresses of the clips in a page."""
    return [has["src"] or "" for tag, has in page.tags if tag == "audio"]


def test_clips_are_the_audio_of_the_run(smoke_run: BenchResult):
    """The clips in the page are the utterances' audio as FLAC of 16 kHz."""
    uris = clips_in(build_page(smoke_run, audio=True))
    lengths = []
    for uri in uris:
        head, _, data = uri.partition(",")
        assert head == "data:audio/flac;base64"
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
        assert rate == 16000
        lengths.append(round(len(samples) / rate, 2))

    assert sorted(lengths) == [2.99, 3.29, 5.3, 6.05, 7.1]


def test_clips_over_the_limit_are_left_out_with_a_note(smoke_run: BenchResult):
    """The limit applies to all clips together; page and report state how many are missing."""
    page = report(smoke_run, audio=True, audio_limit_bytes=200_000, resampling=FEW)

    kept = clips_in(Page(page.html))
    assert 0 < len(kept) < 5
    assert sum(map(len, kept)) <= 200_000
    note = f"{5 - len(kept)} of 5 clips are not in this file: together they would take more than 0.190735 MiB"
    assert page.notes == (f"{note} (--audio-limit)",)
    assert page.notes[0] in " ".join(Page(page.html).text)


def tones(level: float) -> Dataset:
    """Return two utterances in memory."""
    import numpy as np

    def read() -> list[Utterance]:
        samples = np.full(16000, level, dtype=np.float32)
        return [Utterance(id=name, audio=Audio(samples=samples, sample_rate=16000), text="said") for name in ("a", "b")]

    return Dataset(name="tones", source="a test", read=read)


def test_changed_audio_is_left_out(tmp_path: Path):
    """A clip whose checksum differs from the run's is left out."""
    result = bench(tones(0.1), models="echo", run=tmp_path / "run", executor=InProcessExecutor())

    assert len(clips_in(build_page(result, audio=tones(0.1)))) == 2
    changed = report(result, audio=tones(0.2), resampling=FEW)
    assert clips_in(Page(changed.html)) == []
    assert "differs from the run's audio (a, b)" in changed.notes[0]
    with pytest.raises(DatasetError, match=r"pass that object: asrlab.evaluation.report\(..., audio=dataset\)"):
        report(result, audio=True)


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (0.0, [0, 0.5, 1.0]),
        (0.07, [0, 0.02, 0.04, 0.06, 0.08]),
        (14.6, [0, 5, 10, 15]),
        (81.2, [0, 50, 100]),
        (100, [0, 50, 100]),
    ],
)
def test_an_axis_ends_at_a_round_figure(highest: float, ticks: list[float]):
    """Ticks are 1, 2 or 5 times a power of ten apart, and the last is not below the highest figure."""
    axis = linear_axis(highest, start=0, end=100)

    assert list(axis.values) == pytest.approx(ticks)
    assert axis.position(highest) <= 100


def test_a_logarithmic_axis_has_equal_ratios():
    """Equal ratios have equal distances; a value outside of the axis is at its end."""
    axis = log_axis(0.1, 100, start=0, end=300)

    assert [axis.position(value) for value in (0.1, 1, 10, 1000)] == [0, 100, 200, 300]
    assert [tick.label for tick in axis.ticks][:4] == ["0.1", "0.2", "0.5", "1"]


def test_a_page_is_written_atomically(two_models: BenchResult, tmp_path: Path):
    """Writing to a missing folder is an error that names it, and no partial file remains."""
    page = report(two_models, resampling=FEW)
    with pytest.raises(OutputError, match="none"):
        page.write(tmp_path / "none" / "report.html")
    page.write(tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_bytes() == page.html
