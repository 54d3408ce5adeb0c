"""examples/README.md lists every example, and each of its commands does what its row says."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ROW = re.compile(r"^\| \[([\w.]+)\]\(([\w./]+)\) \| [^|]+ \| `([^`|]+)` \|$", re.MULTILINE)
TEXTS = (
    "And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power to do for them.",
    "He was not an ill-disposed young man.",
)
NUMBER = r" *(\d+\.\d+)"


def listed_commands(suffix: str) -> dict[str, str]:
    """Return the commands of the files with *suffix*, by their paths relative to the folder of examples."""
    rows = ROW.findall((EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert [name for name, path, _ in rows] == [path.rpartition("/")[2] for _, path, _ in rows]
    return {path: command for _, path, command in rows if path.endswith(suffix)}


def test_the_list_is_complete():
    """Every script and notebook has one row, and there are no other rows."""
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    notebooks = {f"notebooks/{path.name}" for path in EXAMPLES.glob("notebooks/*.ipynb")}
    assert (set(listed_commands(".py")), set(listed_commands(".ipynb"))) == (scripts, notebooks)
    assert all(path in command for suffix in (".py", ".ipynb") for path, command in listed_commands(suffix).items())
    assert set(CHECKS) == scripts


@pytest.mark.parametrize("name", listed_commands(".py"))
def test_an_example_is_short(name: str):
    """Each example has at most 80 lines, and its docstring has its command."""
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 80
    assert any(f"python examples/{name}" in line for line in lines[:5])


@pytest.mark.parametrize(("name", "command"), listed_commands(".py").items())
def test_a_listed_command_does_what_it_says(
    name: str, command: str, run: Callable[..., subprocess.CompletedProcess[str]], work: Path
):
    """Each command, with the embedded speech, has exit code 0 and the expected output."""
    python, script, *arguments = shlex.split(command)
    assert (python, script) == ("python", f"examples/{name}")
    done = run(name, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    CHECKS[name](done.stdout.splitlines(), work)


def assert_timed_words(lines: list[str], _work: Path) -> None:
    """Assert that the words are those of the text, in order and within the clip, and that four facts follow."""
    *timed, language, audio, device, weights = lines
    start, end, text = re.fullmatch(f"{NUMBER}{NUMBER}  (.+)", timed[0]).groups()  # type: ignore[union-attr]
    assert 0 <= float(start) < float(end) <= 7.1
    words = [re.fullmatch(f"{NUMBER}{NUMBER}  (.+)", line).groups() for line in timed[1:]]  # type: ignore[union-attr]
    assert " ".join(word for _, _, word in words) == text == TEXTS[0]
    assert all(float(before[1]) <= float(after[0]) for before, after in pairwise(words))
    assert language == "language  en"
    assert audio.startswith("audio     7.10 s, transcribed in ")
    assert device.startswith("device    c")
    assert re.fullmatch(r"weights   faster-whisper/base, sha256 d01c3014[0-9a-f]{56}", weights)


def assert_subtitles(lines: list[str], work: Path) -> None:
    """Assert that each of the five clips has a file, the second with its sentence."""
    assert lines[-1] == "5 of 5 files have subtitles"
    assert len(list((work / "subtitles").glob("*.srt"))) == 5
    assert TEXTS[1] in (work / lines[1]).read_text(encoding="utf-8")


def assert_stopped_at_a_word(lines: list[str], _work: Path) -> None:
    """Assert that only the last segment has the word, and that no line has the total duration."""
    segments = [re.fullmatch(f"after{NUMBER} s:{NUMBER}{NUMBER}  (.+)", line) for line in lines]
    assert ["leisure" in segment[4] for segment in segments if segment] == [False] * (len(lines) - 1) + [True]


def assert_live_chunks(lines: list[str], _work: Path) -> None:
    """Assert that the chunks are contiguous, at most as long as requested, and have the whole text."""
    chunks = [
        re.fullmatch(f"{NUMBER}{NUMBER} {NUMBER} s behind  (.+)", line).groups()  # type: ignore[union-attr]
        for line in lines
    ]
    assert len(chunks) >= 4
    assert all(before[1] == after[0] for before, after in pairwise(chunks))
    assert all(float(end) - float(start) <= 8.0 and float(behind) > 0 for start, end, behind, _ in chunks)
    text = " ".join(text for *_, text in chunks)
    assert [phrase in text for phrase in (TEXTS[0], "more respectable than he was", "amiable himself")] == [True] * 3


def assert_two_engines(lines: list[str], _work: Path) -> None:
    """Assert that two engines with the same weights have the same text and word times, and that echo has no beam."""
    assert lines[::2] == [
        f"faster-whisper/base: {TEXTS[0]}",
        f"openai-whisper/base: {TEXTS[0]}",
        "echo/echo: loud loud loud loud loud loud loud quiet",
    ]
    both = "22 words timed, asked for word_timestamps and beam_size"
    assert [line.partition(", ")[2] for line in lines[1::2]] == [both, both, "8 words timed, asked for word_timestamps"]


def assert_comparison(lines: list[str], _work: Path) -> None:
    """Assert that two models have few errors in 70 words, and that clips of one speaker give no verdict."""
    pattern = r"(\S+): WER [\d.]+% \(([0-4]) errors in 70 words, 0 utterances failed\), RTFx ([\d.]+)"
    matches = [re.fullmatch(pattern, line) for line in lines[:2]]
    assert [match and match[1] for match in matches] == ["faster-whisper/base", "faster-whisper/tiny.en"]
    assert all(match and float(match[3]) > 0 for match in matches)
    assert ["too few to tell" in line for line in lines[2:]] == [True, True]


def assert_scores(lines: list[str], _work: Path) -> None:
    """Assert that case and punctuation are not errors, deletions are, and one speaker gives no interval."""
    assert lines == [
        "careful.csv: WER 0.0% (0 other words, 0 missing, 0 too many, of 70)",
        "hasty.trn: WER 7.1% (0 other words, 5 missing, 0 too many, of 70)",
        "hasty.trn against careful.csv: +7.1 points: too few to tell",
    ]


def assert_patched_and_restored(lines: list[str], _work: Path) -> None:
    """Assert that the package requires CUDA without the patches, decodes on mps with them, and is restored."""
    before, patched, *statuses, after = lines
    no_cuda = "AssertionError: Torch not compiled with CUDA enabled (simulated)"
    assert (before, patched, after) == (f"before   {no_cuda}", "patched  23040 samples on mps:0", f"after    {no_cuda}")
    assert [re.sub(",.*", "", line.strip()) for line in statuses] == [
        "liquid-audio-resampling: not-needed",
        "liquid-audio-detokenizer-device: applied",
        "liquid-audio-flash-attention: not-needed",
        "liquid-audio-default-device: applied",
    ]


def assert_responses(lines: list[str], _work: Path) -> None:
    """Assert that two concurrent requests receive the texts of their clips."""
    assert lines[0].startswith("serving on http://127.0.0.1:")
    assert tuple(lines[1:]) == TEXTS


CHECKS: dict[str, Callable[[list[str], Path], None]] = {
    "transcribe_file.py": assert_timed_words,
    "subtitle_folder.py": assert_subtitles,
    "stream_segments.py": assert_stopped_at_a_word,
    "live_loop.py": assert_live_chunks,
    "swap_engines.py": assert_two_engines,
    "compare_models.py": assert_comparison,
    "score_texts.py": assert_scores,
    "patch_by_hand.py": assert_patched_and_restored,
    "web_service.py": assert_responses,
}
