"""A verdict on speed needs alternating models, three passes each, and an idle machine."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import asrlab
from asrlab.environment import LoadMeter, MachineLoad
from asrlab.evaluation.metrics import Resampling
from asrlab.evaluation.reports.comparison import Comparison, compare
from asrlab.evaluation.runs.manifest import BenchRequest
from asrlab.evaluation.runs.records import ModelPass
from asrlab.evaluation.runs.result import RepeatResult
from asrlab.loading import fetch_weights
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SAID = "the quick brown fox"
NAMES = ("a/one", "b/two")
ALTERNATING = tuple((name, repeat) for repeat in range(3) for name in NAMES)
SEQUENTIAL = tuple((name, repeat) for name in NAMES for repeat in range(3))
QUIET = MachineLoad(seconds=10.0, cores=2, own_s=19.0, others_s=0.2, stolen_s=0.0)
UNKNOWN = attrs.evolve(QUIET, others_s=None, stolen_s=None)


@pytest.fixture
def measured(model: Any, run: Any) -> Any:
    """Return a comparison of two models, the second in half the time, with the given passes."""

    def compare_passes(
        order: Sequence[tuple[str, int]] = ALTERNATING,
        loads: Sequence[MachineLoad] = (QUIET,) * 6,
        sessions: Sequence[int] = (0,) * 6,
        **changes: Any,
    ) -> Comparison:
        passes = tuple(
            ModelPass(model=name, repeat=repeat, session=session, load=load)
            for (name, repeat), load, session in zip(order, loads, sessions, strict=False)
        )
        models = [
            model(name, [SAID] * 8, seconds=seconds, each={"repeats": (RepeatResult(text=SAID, seconds=seconds),) * 2})
            for name, seconds in zip(NAMES, (2.0, 1.0), strict=True)
        ]
        request = BenchRequest(dataset="set", models=NAMES, repeat=3)
        result = run(*models, request=request, passes=passes, **changes)
        return compare([result], resampling=Resampling(resamples=2000))

    return compare_passes


def test_alternating_passes_on_an_idle_machine_give_a_verdict(measured: Any):
    """Three alternating passes on an idle machine give the verdict faster, also in the headline."""
    found = measured()
    assert found.speed.ratios[0].verdict == "faster"
    assert found.headline[1] == "b/two: RTFx 4.00, 2.00 times that of a/one [2.00, 2.00], p = 0.0078: faster"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"order": SEQUENTIAL}, "did not all alternate"),
        ({"order": ALTERNATING[:4]}, "did not all alternate"),
        ({"order": ()}, "did not all alternate"),
        ({"order": (*ALTERNATING[:2], *ALTERNATING[:2], *ALTERNATING[4:])}, "did not all alternate"),
        ({"sessions": (0, 0, 0, 0, 1, 1)}, "in one session"),
        ({"loads": (*(QUIET,) * 5, attrs.evolve(QUIET, others_s=5.0))}, "busy during 1 of 6 passes (other programs"),
        ({"loads": (attrs.evolve(QUIET, stolen_s=2.0),) * 6}, "busy during 6 of 6 passes"),
        ({"loads": (UNKNOWN,) * 6, "load_averages": ((3.0, 1.0, 1.0),)}, "busy before the run (load average 3.0"),
    ],
    ids=["after", "few", "old run", "twice", "resumed", "others", "stolen", "load average"],
)
def test_an_unfair_measurement_gives_no_verdict(measured: Any, given: dict[str, Any], reason: str):
    """Without alternating passes or an idle machine there is no verdict, and the reason is given."""
    found = measured(**given)
    [ratio] = found.speed.ratios
    assert (ratio.verdict, ratio.ratio) == ("no difference shown", 2.0)
    assert reason in ratio.reason
    assert reason in found.headline[1]
    assert "faster" not in found.headline[1]


def test_two_runs_give_no_verdict(model: Any, run: Any):
    """Two runs cannot distinguish a slow model from a machine that was slow for a while."""
    found = compare([run(model("a/one", [SAID] * 8, seconds=2.0)), run(model("a/one", [SAID] * 8), name="tuesday")])
    assert found.speed is not None
    assert found.speed.ratios[0].reason.startswith("measured in different runs, one after the other")
    assert found.speed.ratios[0].verdict == "no difference shown"


def test_a_model_that_is_not_repeatable_is_named(model: Any, run: Any, compared: Any):
    """Notes name other texts in repeats, or in two runs of the same configuration, with the WERs."""
    again = {"repeats": (RepeatResult(text=f"{SAID} x", seconds=1.0), RepeatResult(text=SAID, seconds=1.0))}
    said = [SAID] * 8
    notes = compared(
        model("a/one", [SAID] * 8, references=said, each=again), model("b/two", [SAID] * 8, references=said)
    ).notes
    repeats = "8 of 8 utterances gave another text when repeated; WER 0.00 to 25.00 % over 3 passes"
    assert f"a/one: not repeatable: {repeats}" in notes
    runs = [
        run(model("a/one", texts, references=said), name=name)
        for name, texts in (("monday", [SAID] * 8), ("tuesday", [SAID] * 6 + [f"{SAID} x"] * 2))
    ]
    [note] = [note for note in compare(runs).notes if "not repeatable" in note]
    assert "a/one @ monday and a/one @ tuesday are the same model with the same weights and options" in note
    assert note.endswith("gave other texts for 2 of 8 utterances (WER 0.00 and 6.25 %)")


@pytest.fixture
def other_work() -> Iterator[None]:
    """A program that uses all the time of one core."""
    spin = "print(flush=True)\nwhile True: sum(range(10**6))"
    with subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE) as program:
        program.stdout.readline()  # type: ignore[union-attr]
        yield
        program.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports what other programs take")
def test_a_model_against_itself_under_load_shows_no_difference(
    use_weights: Path, tmp_path: Path, other_work: None, clips: tuple[Path, ...]
):
    """The same weights under two names under load show no difference, and the busy passes are named."""
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    stored = fetch_weights(Registry(PluginHost()).resolve("faster-whisper/tiny.en"), offline=True)
    assert stored is not None
    (tmp_path / "again").symlink_to(stored.path)
    utterances = [
        asrlab.evaluation.Utterance(id=f"{n}", audio=clip, text=SAID) for n, clip in enumerate((*clips, clips[1]))
    ]
    data = asrlab.evaluation.Dataset(name="twice", source="smoke", read=lambda: utterances)
    result = asrlab.evaluation.bench(
        data,
        models=["faster-whisper/tiny.en", f"faster-whisper/{tmp_path / 'again'}"],
        device="cpu",
        threads=1,
        options=asrlab.TranscribeOptions(temperature=0.0, beam_size=1),
        repeat=3,
        warmup=0,
        run=tmp_path / "run",
    )
    assert [(each.repeat, each.model == result.models[0].model) for each in result.passes] == [
        (repeat, first) for repeat in range(3) for first in (True, False)
    ]
    assert all(each.load.is_busy for each in result.passes), result.passes
    found = compare([result])
    assert found.speed is not None
    assert [ratio.verdict for ratio in found.speed.ratios] == ["no difference shown"]
    assert "the machine was busy during 6 of 6 passes" in found.headline[1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports what other programs take")
def test_own_and_other_load_are_separated(other_work: None):
    """Work of this process and its children counts as own load; that of another program does not."""
    meter = LoadMeter()
    spin = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    load = meter.read()
    assert load.own_s >= 0.3
    assert load.others_s is not None
    assert load.others_s > 0.1
    assert 0 < load.own_s + load.others_s <= 1.2 * load.seconds * load.cores + 0.1
