"""Generated text in a document is compared with the records, and updated on request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asrlab import Capabilities, Device, ModelInfo, Timings
from asrlab.engine.contract import TranscriberInfo
from asrlab.environment import Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.claims.lint import LintFinding
from asrlab.evaluation.claims.verify import Verification, verify
from asrlab.evaluation.runs.export import render_export
from asrlab.evaluation.runs.fingerprint import UtteranceFacts
from asrlab.evaluation.runs.load import RunRecords
from asrlab.evaluation.runs.manifest import BenchRequest, DatasetFacts, ModelFacts, RunManifest
from asrlab.evaluation.runs.records import GateResult, ModelLoaded, Recognized, UtteranceOutcome

BASE = "faster-whisper/base"
SAID = "the quick brown fox jumps over the lazy dog today"
DOCUMENT = """# Results

It made <!-- asrlab:figure record=base.jsonl figure=errors -->1<!-- asrlab:end --> error in
<!-- asrlab:figure record=base.jsonl model=faster-whisper/base figure=words -->20<!-- asrlab:end --> words, at
<!-- asrlab:figure record=base.jsonl figure=rtfx -->2.00x<!-- asrlab:end -->.
It took <!-- asrlab:figure json=scoring.json path=rows.1.ms scale=0.001 format="{:.1f} s" -->1.5 s<!-- asrlab:end -->.

<!-- asrlab:begin wer -->
<!-- asrlab:end -->

<!-- asrlab:begin speed record=base.jsonl models=faster-whisper/base device=cpu -->
<!-- asrlab:end -->

<!-- asrlab:begin run record=base.jsonl texts=u1 -->
<!-- asrlab:end -->

<!-- asrlab:begin status engines=faster-whisper,liquid-audio -->
<!-- asrlab:end -->

<!-- asrlab:begin bounds -->
<!-- asrlab:end -->
"""


def _records(path: Path, texts: tuple[str, ...]) -> RunRecords:
    """Return a run of smoke with one model and utterances u0, u1, ..., each 4 s of audio processed in 2 s."""
    info = ModelInfo(name=BASE, engine="faster-whisper", weights_sha256="0" * 64)
    manifest = RunManifest(
        run="monday",
        created="2026-01-02T03:04:05+00:00",
        request=BenchRequest(dataset="smoke", models=(BASE,)),
        dataset=DatasetFacts(name="smoke", source="", licence=None, utterances=len(texts), fingerprint="f"),
        models=(ModelFacts(info=info, packages=()),),
        normalizer="english",
        normalizer_version="1",
        machine=Machine(system="Linux 6.8", architecture="x86_64", processor="one", cores=4, python="CPython 3.12.1"),
    )
    facts = tuple(UtteranceFacts(id=f"u{n}", reference=SAID, audio_sha256="a") for n in range(len(texts)))
    records = RunRecords(path=path, manifest=manifest, utterances=facts)
    device = Device(requested="auto", resolved="cpu")
    loaded = TranscriberInfo(model=info, device=device, compute_type="int8", threads=2, capabilities=Capabilities())
    records.add(ModelLoaded(model=BASE, number=0, info=loaded, load_time=0.5))
    recognized = Recognized(language="en", duration=4.0, timings=Timings(audio=0.0, inference=2.0, total=2.0))
    for number, text in enumerate(texts):
        records.add(
            UtteranceOutcome(
                model=BASE,
                id=f"u{number}",
                reference=SAID,
                hypothesis=text,
                recognized=recognized,
                gates=(GateResult(gate="empty", outcome="passed"),),
                loaded=0,
                peak_resident_bytes=300 * 2**20,
            )
        )
    return records


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a document that has every kind of generated text, and the records for it."""
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "base.jsonl").write_bytes(render_export(_records(tmp_path, (SAID, f"{SAID} *now*"))))
    (tmp_path / "evidence" / "scoring.json").write_text('{"rows": [{"ms": 1}, {"ms": 1500}]}', encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "results.md").write_text(DOCUMENT, encoding="utf-8")
    return tmp_path


def _verify(tree: Path, **options: bool) -> Verification:
    return verify([tree / "docs"], **options)


def _change(tree: Path, old: str, new: str) -> None:
    path = tree / "docs" / "results.md"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def _only_finding(done: Verification) -> LintFinding:
    (finding,) = done.findings
    return finding


def test_writing_updates_a_document_once(tree: Path):
    """Writing fills the blocks and keeps other text; writing again changes nothing."""
    path = tree / "docs" / "results.md"
    assert {each.kind for each in _verify(tree).findings} == {"differs"}
    assert _verify(tree, write=True).written == (path,)
    first = path.read_bytes()
    done = _verify(tree, write=True)
    assert (done.findings, done.written, path.read_bytes()) == ((), (), first)
    assert (done.n_generated, done.records) == (9, ("base.jsonl",))
    assert not list(path.parent.glob("*.partial"))


def test_the_blocks_show_the_record(tree: Path):
    """Blocks show figures, escaped texts and a link to the record."""
    _verify(tree, write=True)
    text = (tree / "docs" / "results.md").read_text(encoding="utf-8")
    link = "[base.jsonl](../evidence/base.jsonl)"
    device = "cpu (int8, 2 threads)"
    assert f"| {BASE} | {device} | 5.00 % | 5.00 % | 1/20 | smoke, 2 utterances | english | {link} |" in text
    assert f"| {BASE} | {device} | 2.00x | 2.00 s | 2.00 s | 0.50 s | 300 MiB | one, 4 cores, Linux | {link} |" in text
    assert f"|  | {BASE} | {SAID} \\*now\\* |" in text
    assert f"| {BASE} | cpu | `unverified` | WER 5.00 %, not under the bound of 5 % ({link}" in text
    assert "openai-whisper" not in text.split("asrlab:begin status")[1].split("asrlab:end")[0]


def test_a_changed_block_is_reported_with_line_and_diff(tree: Path):
    """An edited WER is reported at its line, and writing restores the recorded WER."""
    _verify(tree, write=True)
    _change(tree, "| 5.00 % | 5.00 % | 1/20", "| 0.00 % | 0.00 % | 0/20")
    finding = _only_finding(_verify(tree))
    lines = (tree / "docs" / "results.md").read_text(encoding="utf-8").splitlines()
    assert "0/20" in lines[finding.line - 1]
    assert [line[:2] for line in finding.diff.splitlines() if line[0] in "+-" and line[:3] not in ("---", "+++")] == [
        "-|",
        "+|",
    ]
    assert not _verify(tree, write=True).findings


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("-->1<!--", "-->0<!--", "0"),
        ("-->2.00x<!--", "-->20.0x<!--", "20.0x"),
        ("-->1.5 s<!--", "-->0.5 s<!--", "0.5 s"),
    ],
    ids=["errors", "speed", "json"],
)
def test_a_changed_figure_is_reported_with_its_position(tree: Path, old: str, new: str, shown: str):
    """The finding has line, column and the present text."""
    _verify(tree, write=True)
    _change(tree, old, new)
    finding = _only_finding(_verify(tree))
    line = (tree / "docs" / "results.md").read_text(encoding="utf-8").splitlines()[finding.line - 1]
    assert (finding.kind, finding.text, line[finding.column - 1 :].startswith(shown)) == ("differs", shown, True)


def test_added_text_in_a_block_is_reported(tree: Path):
    """A block may hold only what the records give."""
    _verify(tree, write=True)
    _change(tree, "<!-- asrlab:begin bounds -->\n", "<!-- asrlab:begin bounds -->\nLFM2.5-Audio works on MPS.\n")
    assert "-LFM2.5-Audio works on MPS." in _only_finding(_verify(tree)).diff


def test_markers_in_code_have_no_effect(tree: Path):
    """A page may show markers as code."""
    (tree / "docs" / "results.md").write_text(
        "```markdown\n<!-- asrlab:begin status -->\n```\n\nWrite `<!-- asrlab:end -->`.\n", encoding="utf-8"
    )
    assert (_verify(tree).n_generated, _verify(tree).findings) == (0, ())


def test_line_ends_are_kept(tree: Path):
    """A document with CRLF line ends keeps them, and generated text gets them."""
    path = tree / "docs" / "results.md"
    path.write_bytes(DOCUMENT.replace("\n", "\r\n").encode())
    assert not _verify(tree, write=True).findings
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n") > 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- asrlab:figur record=base.jsonl -->", "1:1: unknown marker asrlab:figur"),
        ("a\n\n<!-- asrlab:begin status -->", "3:1: the marker asrlab:begin has no asrlab:end"),
        ("<!-- asrlab:end -->", "1:1: the marker asrlab:end ends nothing"),
        ("a <!-- asrlab:begin status --> b <!-- asrlab:end -->", "1:3: the markers of a block must each be alone"),
        ("<!-- asrlab:begin x -->\n<!-- asrlab:end -->", "1:1: no block 'x'"),
        ("<!-- asrlab:begin wer of=x -->\n<!-- asrlab:end -->", "1:1: the block 'wer' has no option 'of'"),
        ("a <!-- asrlab:figure record=b.jsonl figure=wer -->1<!-- asrlab:end -->", "1:3: no exported run"),
        ("a <!-- asrlab:figure record=base.jsonl figure=beauty -->1<!-- asrlab:end -->", "the names are wer,"),
        ("a <!-- asrlab:figure json=scoring.json path=rows.9.ms -->1<!-- asrlab:end -->", "has nothing at 'rows.9.ms'"),
        ("a <!-- asrlab:figure json=../secret.json -->1<!-- asrlab:end -->", "lies outside of"),
        ("a <!-- asrlab:allow reason= -->", "1:3: the marker asrlab:allow gives no reason"),
        ('a <!-- asrlab:allow reason="x -->', "1:3: cannot read the marker"),
    ],
    ids=lambda text: text[:40],
)
def test_an_invalid_marker_is_refused_with_its_position(tree: Path, text: str, message: str):
    """An invalid marker is an error with file, line and column."""
    (tree / "docs" / "results.md").write_text(text + "\n", encoding="utf-8")
    with pytest.raises(DatasetError) as raised:
        _verify(tree)
    assert message in raised.value.message
    assert "results.md:" in raised.value.message


def test_a_damaged_record_is_refused_with_file_and_line(tree: Path):
    """A damaged run, benchmark or device matrix is an error that names the file."""
    run, plain = tree / "evidence" / "base.jsonl", tree / "evidence" / "scoring.json"
    whole = run.read_bytes()
    run.write_bytes(whole.replace(b'{"record":"outcome"', b'{"record":outcome', 1))
    line = whole[: whole.index(b'{"record":"outcome"')].count(b"\n") + 1
    with pytest.raises(DatasetError, match=rf"base\.jsonl, line {line}"):
        _verify(tree)
    run.write_bytes(whole)
    plain.write_text("{\n\n nothing", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"scoring\.json, line 3"):
        _verify(tree)
    plain.write_text(json.dumps({"schema": 1, "cells": 5}), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"scoring\.json"):
        _verify(tree)


def test_a_truncated_record_backs_nothing(tree: Path):
    """A truncated record counts as an incomplete run."""
    path = tree / "evidence" / "base.jsonl"
    (tree / "docs" / "results.md").write_text("<!-- asrlab:begin status -->\n<!-- asrlab:end -->\n", encoding="utf-8")
    path.write_bytes(render_export(_records(tree, (SAID, SAID))))
    _verify(tree, write=True)
    assert "| `working` |" in (tree / "docs" / "results.md").read_text(encoding="utf-8")
    path.write_bytes(path.read_bytes()[:-10])
    _verify(tree, write=True)
    assert "the run is not complete (1 of 2 utterances)" in (tree / "docs" / "results.md").read_text(encoding="utf-8")


def test_waivers_are_listed(tree: Path):
    """Each waiver is listed with its reason and figures."""
    (tree / "docs" / "results.md").write_text(
        'The WER is 3 %. <!-- asrlab:allow reason="published" -->\n', encoding="utf-8"
    )
    done = _verify(tree)
    assert [(path, waiver.line, waiver.reason, waiver.figures) for path, waiver in done.waivers] == [
        (tree / "docs" / "results.md", 1, "published", ["3 %"])
    ]
