"""The support status is derived from the records by rule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from asrlab import Device, ModelInfo
from asrlab.environment import Machine
from asrlab.evaluation.claims.blocks import RenderContext, render_block
from asrlab.evaluation.claims.evidence import Evidence, SupportCell, SupportMatrix, build_support_matrix
from asrlab.evaluation.matrix.records import CellFacts, CellResult, CheckResult, MatrixRecord
from asrlab.evaluation.runs.manifest import BenchRequest, DatasetFacts
from asrlab.evaluation.runs.records import Failure, GateResult
from asrlab.transcript import PackageVersion

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrlab.evaluation.runs.result import BenchResult, ModelResult

BASE = "faster-whisper/base"
LFM = "liquid-audio/lfm2.5-audio-1.5b"
SAID = "the quick brown fox jumps over the lazy dog today"
PASSED = {"gates": (GateResult(gate="output-truncated", outcome="passed"),)}
MACHINE = Machine(system="Linux 6.8", architecture="x86_64", processor="one", cores=4, python="CPython 3.12.1")
TORCH = PackageVersion(name="torch", version="2.11.0")


@pytest.fixture
def smoke(run: Callable[..., BenchResult]) -> Callable[..., BenchResult]:
    """A function that builds a run of the smoke set."""

    def build(*models: ModelResult, dataset: str | None = "smoke", device: str = "cpu", **changes: Any) -> BenchResult:
        names = tuple(each.model for each in models)
        facts = DatasetFacts(
            name="smoke", source="", licence=None, utterances=len(models[0].utterances), fingerprint="f"
        )
        request = BenchRequest(dataset=dataset, models=names, device=device)
        return run(*models, request=request, dataset=facts, **changes)

    return build


def _on(model: ModelResult, device: str, *, simulated: bool = False, packages: tuple[Any, ...] = ()) -> ModelResult:
    where = Device(requested=device, resolved=device, simulated=simulated)
    assert model.info is not None
    return attrs.evolve(model, info=attrs.evolve(model.info, device=where, packages=packages))


def _matrix(*cells: CellResult, date: str = "2026-01-01T00:00:00+00:00") -> MatrixRecord:
    return MatrixRecord(label="here", date=date, machine=MACHINE, packages=(), cells=cells)


def _checked(model: str, column: str, outcome: Any, *, said: str = "", random: bool | None = False) -> CellResult:
    """Return a matrix cell with one check; *random* is None for a model that was not loaded."""
    check = CheckResult(name="load", outcome=outcome, detail=said, error=said if outcome == "failed" else "")
    facts = CellFacts(
        info=ModelInfo(name=model, engine=model.partition("/")[0], weights_sha256="s", weights_random=bool(random)),
        device=Device(requested="mps", resolved="mps"),
        compute_type="float32",
        packages=(TORCH,),
    )
    return CellResult(model=model, column=column, checks=(check,), facts=None if random is None else facts)


def _matrix_of(*records: BenchResult | MatrixRecord, lock: dict[str, str] | None = None) -> SupportMatrix:
    return build_support_matrix(_evidence(*records, lock=lock))


def _evidence(*records: BenchResult | MatrixRecord, lock: dict[str, str] | None = None) -> Evidence:
    runs = {f"{n}.jsonl": record for n, record in enumerate(records) if not isinstance(record, MatrixRecord)}
    matrices = {f"{n}.json": record for n, record in enumerate(records) if isinstance(record, MatrixRecord)}
    return Evidence(folder=Path("evidence"), runs=runs, matrices=matrices, locked=lock or {})


def _cell(support: SupportMatrix, model: str = BASE, device: str = "cpu") -> SupportCell:
    return support.cells[model, device]


def test_a_whole_run_under_the_bound_is_working(smoke: Any, model: Any):
    """A complete run of real weights on the real device, with no failed gate and a low WER, is working."""
    cell = _cell(_matrix_of(smoke(model(BASE, [SAID, SAID], each=PASSED))))
    assert cell.statuses == ("working",)
    assert (cell.items[0].record, cell.items[0].reason) == ("0.jsonl", "0 errors in 20 words")


@pytest.mark.parametrize(
    ("texts", "changes", "reason"),
    [
        pytest.param([SAID, None], {}, "1 of 2 utterances failed", id="an utterance failed"),
        pytest.param([SAID, "the quick"], {}, "WER 40.00 %, not under the bound of 5 %", id="over the bound"),
        pytest.param([SAID, SAID[4:]], {}, "WER 5.00 %, not under the bound of 5 %", id="at the bound"),
        pytest.param([SAID, SAID], {"complete": False}, "the run is not complete", id="not complete"),
        pytest.param(
            [SAID, SAID], {"dataset": "/data/smoke"}, "the WER bound is for the data set 'smoke'", id="other set"
        ),
    ],
)
def test_a_run_that_misses_a_condition_is_unverified(
    smoke: Any, model: Any, texts: list[str | None], changes: dict[str, Any], reason: str
):
    """A run that misses a condition is unverified, and the reason names the condition."""
    cell = _cell(_matrix_of(smoke(model(BASE, texts, each=PASSED), **changes)))
    assert cell.statuses == ("unverified",)
    assert reason in cell.items[0].reason


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [((), "no quality gate ran"), (("failed",), "2 gates failed"), (("passed", "not-checked"), "")],
    ids=["none", "failed", "passed"],
)
def test_a_run_with_failed_or_no_gates_is_unverified(smoke: Any, model: Any, outcomes: tuple[Any, ...], reason: str):
    """A run without gates has not passed, and a gate that could not be checked has not failed."""
    gates = tuple(GateResult(gate=str(number), outcome=each) for number, each in enumerate(outcomes))
    cell = _cell(_matrix_of(smoke(model(BASE, [SAID, SAID], each={"gates": gates}))))
    assert cell.statuses == (("unverified",) if reason else ("working",))
    assert reason in cell.items[0].reason


def test_a_model_without_a_bound_is_never_working(smoke: Any, model: Any):
    """Neither a known model without a bound nor an unknown model can be working."""
    for name in ("echo/echo", "faster-whisper/my-own"):
        cell = _cell(_matrix_of(smoke(model(name, [SAID], each=PASSED))), name)
        assert cell.statuses == ("unverified",)
        assert "no WER bound is stated" in cell.items[0].reason


def test_random_weights_and_simulated_devices_have_their_own_status(smoke: Any, model: Any):
    """Perfect texts do not make random weights or a simulated device working."""
    random = model(LFM, [SAID], each=PASSED, random=True)
    assert _cell(_matrix_of(smoke(random)), LFM).statuses == ("random-weights",)
    simulated = _on(model(LFM, [SAID], each=PASSED), "mps", simulated=True)
    assert _cell(_matrix_of(smoke(simulated)), LFM, "mps").statuses == ("simulated",)
    both = _on(random, "mps", simulated=True)
    assert _cell(_matrix_of(smoke(both)), LFM, "mps").statuses == ("random-weights", "simulated")


def test_a_model_that_did_not_load_is_blocked_with_the_error(smoke: Any, model: Any):
    """A load failure blocks a model, unless the machine lacked the device."""
    unloaded = attrs.evolve(model(BASE, []), info=None, utterances=())
    failed = attrs.evolve(
        unloaded, failure=Failure(kind="RuntimeError", message="Torch not compiled with CUDA enabled")
    )
    cell = _cell(_matrix_of(smoke(failed, device="cuda:0")), device="cuda")
    assert cell.statuses == ("blocked",)
    assert cell.items[0].reason == "RuntimeError: Torch not compiled with CUDA enabled"
    lacking = attrs.evolve(unloaded, failure=Failure(kind="DeviceUnavailableError", message="no cuda"))
    assert _cell(_matrix_of(smoke(lacking, device="cuda")), device="cuda").statuses == ("unverified",)
    assert all(not cell.items for cell in _matrix_of(smoke(failed, device="auto")).cells.values())


def test_the_device_matrix_is_evidence(smoke: Any):
    """A refusal applies to every model of the engine, a failure blocks, and a passed check proves no WER."""
    support = _matrix_of(
        _matrix(
            _checked(BASE, "mps-sim", "refused", said="unsupported device mps", random=None),
            _checked(BASE, "cuda", "failed", said="out of memory"),
            _checked(BASE, "cpu", "ran"),
            _checked(LFM, "mps-sim", "not here", said="no weights", random=None),
            _checked("liquid-audio/tiny", "mps-sim", "ran", random=True),
            _checked("openai-whisper/base", "mps-sim", "failed", said="no kernel"),
        )
    )
    assert _cell(support, device="mps").statuses == ("blocked",)
    assert _cell(support, "faster-whisper/large-v3", "mps").items[0].reason == "unsupported device mps"
    assert (_cell(support, device="cuda").statuses, _cell(support).statuses) == (("blocked",), ("unverified",))
    assert _cell(support, "openai-whisper/base", "mps").statuses == ("blocked", "simulated")
    assert _cell(support, "faster-whisper/large-v3").items == ()
    lfm = _cell(support, LFM, "mps")
    assert lfm.statuses == ("unverified",)
    assert "no weights" in lfm.items[0].reason
    assert [each.statuses for each in lfm.substitutes] == [("random-weights", "simulated")]


def test_the_best_real_evidence_counts_unless_a_later_record_contradicts_it(smoke: Any, model: Any):
    """A success outranks an older failure, but not a newer one."""
    good = smoke(model(BASE, [SAID], each=PASSED), created="2026-02-02T00:00:00+00:00")
    for date, first in (("2026-01-01", "working"), ("2026-03-03", "blocked")):
        bad = _matrix(_checked(BASE, "cpu", "failed", said="broken"), date=f"{date}T00:00:00+00:00")
        cell = _cell(_matrix_of(bad, good))
        assert cell.statuses == (first,)
        assert len(cell.items) == 2


def test_real_evidence_outranks_simulations(smoke: Any, model: Any):
    """A real run over its WER bound outranks a simulation that ran."""
    real = smoke(_on(model("openai-whisper/base", ["no"], each=PASSED), "mps"))
    cell = _cell(
        _matrix_of(_matrix(_checked("openai-whisper/base", "mps-sim", "ran")), real), "openai-whisper/base", "mps"
    )
    assert cell.statuses == ("unverified",)
    assert [each.statuses for each in cell.items] == [("unverified",), ("simulated",)]


def test_a_record_of_other_versions_than_the_locks_is_stale(smoke: Any, model: Any):
    """Local build tags such as +cpu and packages outside of the lock do not count."""
    result = smoke(_on(model(BASE, [SAID], each=PASSED), "cpu", packages=(TORCH,)))
    for lock, stale in (
        ({"torch": "2.12.0"}, ("torch 2.11.0, lock 2.12.0",)),
        ({"torch": "2.11.0+cpu"}, ()),
        ({"numpy": "2"}, ()),
        (None, ()),
    ):
        assert _cell(_matrix_of(result, lock=lock)).items[0].stale == stale


def test_the_table_names_records_dates_versions_and_what_is_stale(smoke: Any, model: Any, tmp_path: Path):
    """A row links its record, and shows date, versions and stale packages."""
    packages = (PackageVersion(name="ctranslate2", version="4.8.5"), PackageVersion(name="numpy", version="2.0.0"))
    evidence = _evidence(
        smoke(_on(model(BASE, [SAID], each=PASSED), "cpu", packages=packages)),
        _matrix(
            _checked(BASE, "cuda", "failed", said="it `broke` | there"),
            _checked("liquid-audio/tiny", "mps-sim", "ran", random=True),
        ),
        lock={"numpy": "2.1.0"},
    )
    evidence = attrs.evolve(evidence, folder=tmp_path / "evidence")
    shown = render_block(
        "status",
        {},
        RenderContext(document=tmp_path / "docs" / "a.md", evidence=evidence, support=build_support_matrix(evidence)),
    )
    rows = {tuple(row.split(" | ")[:2]): row for row in shown.replace("| ", "", 1).split("\n| ")}
    working = rows[BASE, "cpu"]
    assert "| `working`, stale (numpy 2.0.0, lock 2.1.0) | 0 errors in 10 words (" in working
    assert "[0.jsonl](../evidence/0.jsonl) of 2026-01-02, Linux x86_64, ctranslate2 4.8.5" in working
    assert "| `blocked` | `load: it 'broke' \\| there` (" in rows[BASE, "cuda"]
    assert "| `unverified` | no record<br>substitute liquid-audio/tiny: random-weights + simulated" in rows[LFM, "mps"]
