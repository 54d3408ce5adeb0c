"""Calibrations on disk: found for exactly what they were made for, and never the reason that a load fails."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import attrs
import pytest

import asrlab
from asrlab import AsrlabError, Batching, DatasetError
from asrlab.environment import accelerator_name, platform_name, processor_name, usable_cores
from asrlab.transcript import PackageVersion
from asrlab.tuning.calibration import Calibration, CalibrationKey, CalibrationStore, Trial

CHOSEN = Batching(batch_size=16, workers=3, threads=1, padding_s=6.0, batch_encoder=False)
MADE = CalibrationKey(
    processor=processor_name(),
    cores=4,
    platform=platform_name(),
    device="cpu",
    model="engine/model",
    weights_sha256="ab" * 32,
    compute_type="int8",
    packages=(PackageVersion(name="asrlab", version="0.1.0"), PackageVersion(name="works", version="2.0")),
)


def calibration(key: CalibrationKey = MADE, **changes: Any) -> Calibration:
    """A calibration with one trial that counts and one that failed."""
    trials = (
        Trial(step="workers", batching=CHOSEN, audio_seconds=54.0, seconds=(3.0, 2.0)),
        Trial(step="workers", batching=attrs.evolve(CHOSEN, workers=4), audio_seconds=54.0, error="out of memory"),
    )
    made = Calibration(key=key, batching=CHOSEN, trials=trials, date="2026-11-25T12:00:00+00:00", seconds=9.5)
    return attrs.evolve(made, **changes)


@pytest.fixture
def store(tmp_path: Path) -> CalibrationStore:
    """An empty store."""
    return CalibrationStore(tmp_path / "tuning")


def test_what_is_put_is_found(store: CalibrationStore):
    """A calibration comes back as it was, from a file that is named by the model, and nothing else is left there."""
    path = store.put(calibration())
    assert CalibrationStore(store.root).find(MADE) == calibration()
    assert list(store.all()) == [(path, calibration())]
    assert path.name.startswith("engine-model-")
    assert [each.name for each in store.root.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "change",
    [
        {"processor": "another"},
        {"cores": 8},
        {"platform": "Plan9 mips"},
        {"device": "cuda:0"},
        {"device_name": "a card"},
        {"model": "engine/other"},
        {"weights_sha256": "cd" * 32},
        {"compute_type": "float32"},
        {"threads": 2},
        {"packages": (MADE.packages[0], PackageVersion(name="works", version="2.1"))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_it_is_not_found(store: CalibrationStore, change: dict[str, Any]):
    """Another machine, device, model, checksum, compute type, number of threads or version has its own calibration."""
    store.put(calibration())
    assert store.find(attrs.evolve(MADE, **change)) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a calibration"),
        (b"\xff\xfe", "not a calibration"),
        (b"[]", "not a calibration"),
        (b'{"schema": 99}', "schema is 99"),
        (b'{"schema": 2, "batching": {}}', "required field missing"),
        (json.dumps(json.loads(calibration().to_json()) | {"more": 1}).encode(), "extra fields"),
        (calibration().to_json().replace('"workers": 3', '"workers": -3').encode(), "invalid value @ $.batching"),
        (calibration(attrs.evolve(MADE, cores=5)).to_json().encode(), "its name does not match its content"),
    ],
)
def test_a_damaged_or_foreign_file_is_left_alone(
    store: CalibrationStore, caplog: pytest.LogCaptureFixture, content: bytes, message: str
):
    """It counts for nothing, with a warning that says which and why, and stays where it is."""
    path = store.put(calibration())
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="asrlab.tuning"):
        assert store.find(MADE) is None
    assert message in caplog.text
    assert str(path) in caplog.text
    assert path.read_bytes() == content


def test_reading_something_else_is_an_error_of_its_own():
    """`Calibration.from_json` says what is wrong, as for a stored transcript."""
    with pytest.raises(DatasetError, match="not a calibration"):
        Calibration.from_json("{}")


def test_no_folder_is_no_calibration(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Where nothing was ever stored, or a file is in the way, nothing is found and nothing is said."""
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "none", tmp_path / "file"):
        assert CalibrationStore(root).find(MADE) is None
        assert list(CalibrationStore(root).all()) == []
    assert caplog.text == ""


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path):
    """With the folder and the variable that moves it."""
    (tmp_path / "file").write_text("")
    store = CalibrationStore(tmp_path / "file" / "tuning")
    for act in (store.check_writable, lambda: store.put(calibration())):
        with pytest.raises(AsrlabError, match=r"cannot write the calibrations in .*tuning .*ASRLAB_CACHE"):
            act()


def test_forgetting_takes_all_of_one_model_here(store: CalibrationStore):
    """Those for other versions too; not those of other models, nor of other machines that share the folder."""
    mine = {store.put(calibration(attrs.evolve(MADE, cores=cores))) for cores in (1, 2)}
    kept = {store.put(calibration(attrs.evolve(MADE, **other))) for other in ({"model": "e/m"}, {"processor": "other"})}
    assert set(store.forget("engine/model")) == mine
    assert {path for path, _ in store.all()} == kept


def test_what_has_changed_is_told():
    """Cores, cards, weights and versions, each with what it was and what it is."""
    now = attrs.evolve(
        MADE,
        cores=8,
        device_name="a card",
        weights_sha256=None,
        packages=(PackageVersion(name="asrlab", version="0.1.0"), PackageVersion(name="third", version="1")),
    )
    assert MADE.describe_changes(MADE) == ()
    assert MADE.describe_changes(now) == (
        "4 cores, now 8",
        "cpu was unnamed, now a card",
        "other weights",
        "works 2.0, now not installed",
        "third 1 is new",
    )


def test_a_trial_that_failed_has_no_pace():
    """Only rounds that count are compared, by the best."""
    counts, failed = calibration().trials
    assert (counts.best_seconds, counts.rtfx) == (2.0, 27.0)
    assert (failed.best_seconds, failed.rtfx) == (None, None)


def test_the_machine_is_told():
    """Its processor and cores; of accelerators only what a driver tells."""
    assert usable_cores() >= 1
    assert platform_name().count(" ") >= 1
    assert accelerator_name("cpu") == accelerator_name("cuda:99") == ""


@pytest.mark.usefixtures("use_weights")
def test_load_takes_what_was_stored(caplog: pytest.LogCaptureFixture):
    """A calibration for these circumstances is in force; one for other threads is not; a damaged one warns."""
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    from asrlab.engines.faster_whisper import SPEC

    with asrlab.load("faster-whisper/base") as plain:
        assert plain.calibration is None
        here = CalibrationKey.from_info(plain.info, SPEC, threads=None)
    assert [package.name for package in here.packages][:3] == ["asrlab", "faster-whisper", "ctranslate2"]
    store = CalibrationStore()
    path = store.put(calibration(here))
    try:
        with asrlab.load("faster-whisper/base") as tuned:
            assert tuned.calibration == CHOSEN
            assert tuned.batching() == CHOSEN
            assert tuned.batching(Batching(workers=1)) == attrs.evolve(CHOSEN, workers=1)
        with asrlab.load("faster-whisper/base", threads=1) as other:
            assert other.calibration is None
        path.write_text("{")
        with asrlab.load("faster-whisper/base") as damaged:
            assert damaged.calibration is None
        assert str(path) in caplog.text
    finally:
        store.forget("faster-whisper/base")
        path.unlink(missing_ok=True)
