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
from asrlab.evaluation.reports.html.charts import linear_axis, log_axis
from asrlab.evaluation.reports.html.page_data import to_script_json
from asrlab.testing.in_process import InProcessExecutor

if TYPE_CHECKING:
    from asrlab.evaluation.runs.result import BenchResult

FEW = Resampling(resamples=200)
SAID = "the quick brown fox jumps over the lazy dog today"


class Page(HTMLParser):
    """What a page consists of: every tag with its attributes, and the texts of its scripts and styles."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.text: list[str] = []
        self.open = False
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it, and listen for its content if it is a script or style."""
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside.append((tag, dict(attrs), []))
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        """Stop to listen."""
        self.open = self.open and tag not in ("script", "style")

    def handle_data(self, data: str) -> None:
        """Keep a text where it belongs."""
        (self.inside[-1][2] if self.open else self.text).append(data)

    def content(self, tag: str, **wanted: str) -> str:
        """What is within the one tag of that kind."""
        [found] = ["".join(text) for name, has, text in self.inside if name == tag and has == wanted]
        return found


def made(result: BenchResult, **options: Any) -> Page:
    """The page of a run."""
    return Page(report(result, **{"resampling": FEW, **options}).html)


def test_only_the_script_and_style_in_it_may_run(two_models: BenchResult):
    """The policy names the hashes of the script and the style that are there, and lets nothing be fetched."""
    page = made(two_models)
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


def test_nothing_is_inline_and_nothing_is_linked(two_models: BenchResult):
    """No handler, no style attribute, and every address is a place in the page itself."""
    for tag, has in made(two_models).tags:
        assert not [name for name in has if name.startswith("on") or name == "style"], tag
        addresses = [has[name] for name in ("href", "src", "action", "poster", "data") if has.get(name)]
        assert all((address or "").startswith("#") for address in addresses), addresses


def test_it_shows_what_the_comparison_says(two_models: BenchResult):
    """Headline, difference, interval and p are those of compare."""
    compared = compare([two_models], bootstrap_unit="utterance", resampling=FEW)
    text = " ".join(" ".join(made(two_models, bootstrap_unit="utterance").text).split())

    for line in (*compared.headline, *compared.notes):
        assert line in text
    [found] = compared.wer.differences
    assert f"{100 * found.interval.low:.2f} to {100 * found.interval.high:.2f}" in text
    assert f"{100 * found.difference:+.2f}" in text
    assert "the middle 95 % of WERs" in text


def test_headers_tell_what_they_head(two_models: BenchResult):
    """Every header has a scope, every region a name and a stop for the keyboard, every field a label."""
    page = made(two_models)

    assert all(has.get("scope") in ("col", "row") for tag, has in page.tags if tag == "th")
    regions = [has for _, has in page.tags if has.get("role") == "region"]
    assert regions
    assert all(has.get("tabindex") == "0" and ("aria-label" in has or "aria-labelledby" in has) for has in regions)
    ids = [has["id"] for _, has in page.tags if "id" in has]
    assert len(ids) == len(set(ids))
    named = {name for _, has in page.tags for name in (has.get("aria-labelledby") or "").split()}
    assert named <= set(ids)
    assert all("lang" in has for _, has in page.tags if "diff" in (has.get("class") or ""))


def test_data_survives_within_a_script_element():
    """What would end the element or a line is escaped, and comes back as it was."""
    value = ["</script><!-- & \u2028\u2029", "\udc80", "ü"]
    plain = str(to_script_json(value))

    assert not re.search("[<>&\u2028\u2029]", plain)
    assert json.loads(plain) == [value[0], "\\udc80", "ü"]  # the page only shows it, and shows what it is


def test_what_is_no_text_is_shown_as_its_escape(model: Any, run: Any):
    """An id that is no UTF-8, as a file's name may be, does not break the page."""
    one = model("a/one", [SAID, "the"])
    odd = attrs.evolve(one, utterances=tuple(attrs.evolve(each, id=f"\udc80{each.id}") for each in one.utterances))
    page = made(run(odd))

    assert json.loads(page.content("script", type="application/json", id="data"))["rows"][1][0] == "\\udc80u1"
    assert "\\udc80u1" in page.text


def test_every_utterance_is_in_the_data(two_models: BenchResult):
    """A row has the errors, time, text and differences of each system; where all is right there are none."""
    page = made(two_models)
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


def test_what_is_made_up_is_said_first(model: Any, run: Any):
    """Random weights and simulated devices are named above the figures and beside the model."""
    text = " ".join(made(run(model("a/one", [SAID] * 8, random=True, simulated=True))).text)

    assert text.index("Read with care") < text.index("a/one has random weights") < text.index("How to read it")
    assert "simulated device" in text
    assert "A random" in text, "in the picture, too"
    assert "random: a/one" in text


def test_what_is_not_complete_is_said_and_not_compared(model: Any, run: Any):
    """An interrupted run is shown as far as it went, without verdicts."""
    text = " ".join(made(run(model("a/one", [SAID]), model("b/two", [SAID]), complete=False)).text)

    assert "the run monday is not complete" in text
    assert "No comparison" in text


@pytest.mark.parametrize("references", [[None, None], ["", ""]])
def test_without_references_there_is_no_error_rate(model: Any, run: Any, references: list[Any]):
    """Two models without anything to score them by still have their times and texts."""
    models = [model(name, ["heard", "so"], references=references) for name in ("a/one", "b/two")]
    text = " ".join(made(run(*models)).text)

    assert "no references, so no error rate" in text
    assert "There is no chart of errors against speed" in text


def test_a_run_without_models_makes_a_page(run: Any):
    """Where no model loaded the page says so."""
    assert "no model loaded" in " ".join(made(run()).text)


def test_nothing_to_report_is_refused():
    """No run at all is a mistake of the caller."""
    with pytest.raises(OptionError, match="give at least one run"):
        report([])


def test_several_runs_make_one_page(model: Any, run: Any):
    """Models of two runs over the same utterances stand side by side, with the facts of both runs."""
    monday, tuesday = run(model("a/one", [SAID] * 8)), run(model("b/two", ["the"] * 8), name="tuesday")
    text = " ".join(Page(report([monday, tuesday], resampling=FEW).html).text)

    assert "a/one: WER 0.00 %, 90.00 points lower than b/two" in text
    assert "monday" in text
    assert "tuesday" in text


@pytest.fixture
def smoke_run(tmp_path: Path) -> BenchResult:
    """A run of the smoke set through the echo engine, which gets everything wrong."""
    return bench("smoke", models="echo", run=tmp_path / "run", executor=InProcessExecutor())


def clips_in(page: Page) -> list[str]:
    """The addresses of its clips."""
    return [has["src"] or "" for tag, has in page.tags if tag == "audio"]


def test_clips_are_the_audio_of_the_run(smoke_run: BenchResult):
    """A clip in the page is the utterance's, as FLAC of 16 kHz."""
    uris = clips_in(made(smoke_run, audio=True))
    lengths = []
    for uri in uris:
        head, _, data = uri.partition(",")
        assert head == "data:audio/flac;base64"
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
        assert rate == 16000
        lengths.append(round(len(samples) / rate, 2))

    assert sorted(lengths) == [2.99, 3.29, 5.3, 6.05, 7.1]


def test_clips_that_do_not_fit_are_left_out_and_told(smoke_run: BenchResult):
    """The limit holds for all clips together; how many are missing is said in the page and by the report."""
    page = report(smoke_run, audio=True, audio_limit_bytes=200_000, resampling=FEW)

    kept = clips_in(Page(page.html))
    assert 0 < len(kept) < 5
    assert sum(map(len, kept)) <= 200_000
    told = f"{5 - len(kept)} of 5 clips are not in this file: together they would take more than 0.190735 MiB"
    assert page.notes == (f"{told} (--audio-limit)",)
    assert page.notes[0] in " ".join(Page(page.html).text)


def tones(level: float) -> Dataset:
    """Two utterances in memory."""
    import numpy as np

    def read() -> list[Utterance]:
        samples = np.full(16000, level, dtype=np.float32)
        return [Utterance(id=name, audio=Audio(samples=samples, sample_rate=16000), text="said") for name in ("a", "b")]

    return Dataset(name="tones", source="a test", read=read)


def test_other_audio_than_the_run_had_is_not_shown(tmp_path: Path):
    """A clip is checked against the run's checksum: what has changed since is left out."""
    result = bench(tones(0.1), models="echo", run=tmp_path / "run", executor=InProcessExecutor())

    assert len(clips_in(made(result, audio=tones(0.1)))) == 2
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
    """Ten times as much is as far, wherever it is; what is outside is at the end."""
    axis = log_axis(0.1, 100, start=0, end=300)

    assert [axis.position(value) for value in (0.1, 1, 10, 1000)] == [0, 100, 200, 300]
    assert [tick.label for tick in axis.ticks][:4] == ["0.1", "0.2", "0.5", "1"]


def test_the_page_is_written_whole(two_models: BenchResult, tmp_path: Path):
    """A report in a folder that is not there is an error that names it; nothing is left half."""
    page = report(two_models, resampling=FEW)
    with pytest.raises(OutputError, match="none"):
        page.write(tmp_path / "none" / "report.html")
    page.write(tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_bytes() == page.html
