"""Unbacked claims in a document's text are reported, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from asrlab import Device
from asrlab.evaluation.claims.documents import read_document
from asrlab.evaluation.claims.evidence import Evidence, build_support_matrix
from asrlab.evaluation.claims.lint import LintFinding, lint_document
from asrlab.evaluation.claims.markup import SourceText
from asrlab.evaluation.runs.manifest import BenchRequest, DatasetFacts
from asrlab.evaluation.runs.records import GateResult

if TYPE_CHECKING:
    from collections.abc import Callable

type Lint = Callable[[str], list[LintFinding]]

SAID = "the quick brown fox jumps over the lazy dog today"


@pytest.fixture(scope="module")
def lint(run: Any, model: Any, tmp_path_factory: pytest.TempPathFactory) -> Lint:
    """A function that lints a text. By the records, both base models work on the CPU and LFM2.5-Audio ran simulated."""
    gates = {"gates": (GateResult(gate="output-truncated", outcome="passed"),)}
    works = [model(name, [SAID], each=gates) for name in ("faster-whisper/base", "openai-whisper/base")]
    simulated = model("liquid-audio/lfm2.5-audio-1.5b", [SAID], each=gates)
    device = Device(requested="mps", resolved="mps", simulated=True)
    simulated = attrs.evolve(simulated, info=attrs.evolve(simulated.info, device=device))
    models = (*works, simulated)
    result = run(
        *models,
        request=BenchRequest(dataset="smoke", models=tuple(each.model for each in models)),
        dataset=DatasetFacts(name="smoke", source="", licence=None, utterances=1, fingerprint="f"),
    )
    evidence = Evidence(folder=Path("evidence"), runs={"a.jsonl": result})
    board = build_support_matrix(evidence)
    path = tmp_path_factory.mktemp("documents") / "a.md"

    def lint_text(text: str) -> list[LintFinding]:
        path.write_text(text, encoding="utf-8")
        return list(lint_document(read_document(path), evidence, board))

    return lint_text


OVERSTATED = {
    "status": (
        "LFM2.5-Audio works on MPS.",
        "LFM2.5-Audio runs natively on Apple silicon.",
        "It is production ready on CUDA.",
        "`liquid-audio/lfm2.5-audio-1.5b` on mps: `working`.",
        "openai-whisper has full MPS support.",
        "All engines run on CUDA.",
        "Every model works on the CPU.",
        "MPS-ready.",
        "faster-whisper/base works on the CPU and on CUDA.",
        "faster-whisper/small works.",
        "LFM2.5-Audio, which runs on MPS, hears English.",
        "Not only Whisper but LFM2.5-Audio, too, runs on MPS.",
        "LFM2.5-Audio works on the CPU.",
        "## LFM2.5-Audio\n\nIt works on the CPU.",
        "It ran on a Mac without a fault.",
        "Transcription in real time.",
        "No faults are known; LFM2.5-Audio works on MPS.",
        "| model | mps |\n|---|---|\n| liquid-audio | \u2705 |",
        "| model | device | status |\n|---|---|---|\n| `liquid-audio` | mps | working |",
        "<p>LFM2.5-Audio works on MPS.</p>",
        "```sh\nasrlab bench smoke  # LFM2.5-Audio works on MPS\n```",
        '<!-- asrlab:allow reason="I say so" --> LFM2.5-Audio works on MPS.',
    ),
    "comparison": (
        "faster-whisper is faster than openai-whisper.",
        "openai-whisper is not slower than faster-whisper.",
        "CTranslate2 is the fastest engine.",
        "openai-whisper outperforms faster-whisper.",
        "LFM2.5-Audio is the best model for English.",
        "faster-whisper has fewer errors than openai-whisper.",
    ),
    "figure": (
        "faster-whisper is 3x quicker.",
        "The WER of base is 2.9 %.",
        "It reaches a WER of 0.03 on read speech.",
        "The RTFx was `3.19x`.",
        "faster-whisper transcribes an hour in 40 seconds.",
        "It transcribes an hour of audio in 90 seconds.",
        "faster-whisper/base needs 359 MiB.",
        "Twice as fast, ten times faster.",
        "Whisper base makes 0 errors on the smoke set.",
        "| model | peak memory |\n|---|---|\n| base | 359 MiB |",
        "```text\nfaster-whisper/base   0.00 %   3.19x\n```",
    ),
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in OVERSTATED.items() for text in texts], ids=lambda text: text[:50]
)
def test_an_overstatement_is_flagged(lint: Lint, kind: str, text: str):
    """Each unbacked claim is reported with its kind: a status, a comparison or a figure."""
    assert kind in {finding.kind for finding in lint(text)}


@pytest.mark.parametrize(
    "text",
    [
        "faster-whisper/base works on the CPU.",
        "openai-whisper works on the CPU.",
        "It works on the CPU.",
        "The tests ran on the CPU.",
        "LFM2.5-Audio runs on the simulated MPS device.",
        "| model | cpu |\n|---|---|\n| faster-whisper/base | \u2705 |",
        "No run of LFM2.5-Audio on MPS is recorded.",
        "LFM2.5-Audio does not work on MPS yet.",
        "Whether LFM2.5-Audio works on MPS is not known.",
        "If it works on CUDA, send the record.",
        "A program that runs on CUDA may break on a Mac.",
        "Some packages run only on CUDA.",
        "asrlab is not production ready.",
        "The words better and faster appear only where the interval excludes zero.",
        "It says nothing of which engine is faster than the other.",
        "The middle 95 % of 10,000 resamples is the interval of the WER.",
        "The weights of faster-whisper are verified by their sha256.",
        "Its weights, about 3.3 GB, are fetched by `asrlab pull lfm2_5_audio`.",
        "Longer audio is cut at silence into pieces of at most 30 s, a segment each.",
        "A time limit of 600 s ends a model that hangs.",
        "faster-whisper runs in a process of its own.",
        "Install it with Python 3.12 and torch 2.11.",
        "```sh\nasrlab transcribe --device mps talk.mp3  # one file\n```",
        "```python\nspeedup = '3x faster than openai-whisper'\n```",
        "[here](<LFM2.5-Audio works on MPS.md>)",
        "<!-- LFM2.5-Audio works on MPS -->",
        "| status | means |\n|---|---|\n| `working` | it did all that was asked |",
        "The old name `whisper` still works in scripts.",
    ],
    ids=lambda text: text[:50],
)
def test_true_negated_and_defining_sentences_are_accepted(lint: Lint, text: str):
    """Sentences that are true, negated or define a word are not reported."""
    assert [(finding.kind, finding.text) for finding in lint(text)] == []


def test_a_finding_has_its_position(lint: Lint):
    """Line and column are right after code, links, escapes and line ends, and in a table cell."""
    texts = (
        "Behind `code\nspan`, [a link](to/works-on-mps.md) and \\*, LFM2.5-Audio works on MPS.",
        "> - a \\| b: LFM2.5-Audio\n>   works on MPS",
        "With LFM2.5-Audio [it](<works on MPS>) *works on MPS*",
        "| a | b |\n|---|---|\n| `x \\| y` | LFM2.5-Audio works on MPS |",
    )
    for source in texts:
        (finding,) = lint(source)
        assert (finding.line, finding.column) == SourceText(source).position(source.rindex("works on MPS"))


def test_a_finding_names_the_known_status_and_the_marker(lint: Lint):
    """The message states the recorded status, and the cure holds a marker that a reader can copy."""
    (finding,) = lint("LFM2.5-Audio works on MPS.")
    assert "liquid-audio/lfm2.5-audio-1.5b on mps is simulated" in finding.message
    (finding,) = lint("The WER was 0.00 %.")
    assert (
        "<!-- asrlab:figure record=a.jsonl model=faster-whisper/base figure=wer -->0.00 %<!-- asrlab:end -->"
        in finding.cure
    )


@pytest.mark.parametrize(
    ("text", "n_findings"),
    [
        ('The WER was 3 %. <!-- asrlab:allow reason="published" -->', 0),
        ('<!-- asrlab:allow reason="published" -->\nThe WER was 3 %.\n\nThe CER was 1 %.', 1),
        ('<!-- asrlab:allow reason="published" -->\n\n| model | WER |\n|---|---|\n| base | 3 % |\n| tiny | 4 % |', 0),
        ('| model | WER |\n|---|---|\n| base | 3 % <!-- asrlab:allow reason="x" --> |\n| tiny | 4 % |', 1),
    ],
    ids=["in its paragraph", "before a paragraph", "before a table", "in a row"],
)
def test_a_waiver_accepts_figures(lint: Lint, text: str, n_findings: int):
    """A waiver covers its paragraph or row; alone on a line, it covers the next block."""
    assert len(lint(text)) == n_findings
