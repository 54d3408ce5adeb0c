"""asrlab's own documents agree with its records, and a changed copy of them does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asrlab.evaluation.claims.lint import LintFinding
from asrlab.evaluation.claims.verify import verify

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = ("README.md", "CHANGELOG.md", "docs")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the documents, the records and the locks."""
    for name in (*DOCUMENTS, "evidence", "locks"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
        else:
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def _findings(root: Path) -> tuple[LintFinding, ...]:
    return verify([root / name for name in DOCUMENTS]).findings


def test_own_documents_agree_with_the_records():
    """There are no findings. If this fails, run: asrlab verify README.md CHANGELOG.md docs --write."""
    assert [str(finding) for finding in _findings(ROOT)] == []


PLANTED = (
    "LFM2.5-Audio works on MPS.",
    "faster-whisper is 3x faster than openai-whisper on a laptop.",
    "It is production ready on CUDA.",
    "At its peak, faster-whisper/base held 100 MiB.",
    "No engine needs more than a second to load: openai-whisper/base takes 0.20 s.",
)


@pytest.mark.parametrize("document", ["README.md", "docs/how-to/guide.md"])
def test_planted_sentences_are_caught(copy: Path, document: str):
    """Each planted sentence is reported with file and line, and nothing else is."""
    path = copy / document
    text = path.read_text(encoding="utf-8").rstrip()
    path.write_text("\n\n".join([text, *PLANTED]) + "\n", encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines()
    found = {(finding.path, lines[finding.line - 1]) for finding in _findings(copy)}
    assert found == {(path, sentence) for sentence in PLANTED}


@pytest.mark.parametrize(
    ("document", "old", "new"),
    [
        ("README.md", "0.00 % (0/70) | ", "0.00 % (0/71) | "),
        ("README.md", " MiB | 0 |", "1 MiB | 0 |"),
        (
            "docs/reference/status.md",
            "| liquid-audio/lfm2.5-audio-1.5b | mps | `unverified` |",
            "| liquid-audio/lfm2.5-audio-1.5b | mps | `working` |",
        ),
        (
            "docs/reference/status.md",
            "| openai-whisper/base | mps | `simulated` |",
            "| openai-whisper/base | mps | `working` |",
        ),
    ],
    ids=["WER", "memory", "status of LFM2.5", "status of Whisper"],
)
def test_a_changed_table_is_caught(copy: Path, document: str, old: str, new: str):
    """The changed line is reported with the text that the records give."""
    path = copy / document
    before, found, after = path.read_text(encoding="utf-8").partition(old)
    assert found
    path.write_text(before + new + after, encoding="utf-8")
    (finding,) = _findings(copy)
    assert (finding.kind, finding.path, finding.line) == ("differs", path, before.count("\n") + 1)
    assert new.strip(" |") in finding.diff


def test_the_status_page_is_exact_about_lfm_on_mps(copy: Path):
    """The real weights never ran on MPS; random weights of the same engine ran on a simulated device."""
    text = (copy / "docs" / "reference" / "status.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| liquid-audio/lfm2.5-audio-1.5b | mps |"))
    assert "| `unverified` |" in row
    assert "substitute liquid-audio/tiny: random-weights + simulated: " in row
