"""What examples/README.md lists is what there is, and each of its commands does what its line says."""

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


def listed(suffix: str) -> dict[str, str]:
    """The command of each file that ends so, by its path from the folder of examples."""
    rows = ROW.findall((EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert [name for name, path, _ in rows] == [path.rpartition("/")[2] for _, path, _ in rows]
    return {path: command for _, path, command in rows if path.endswith(suffix)}


def test_the_list_is_of_what_there_is():
    """Every script and every notebook has one row, and there is none for anything else."""
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    notebooks = {f"notebooks/{path.name}" for path in EXAMPLES.glob("notebooks/*.ipynb")}
    assert (set(listed(".py")), set(listed(".ipynb"))) == (scripts, notebooks)
    assert all(path in command for suffix in (".py", ".ipynb") for path, command in listed(suffix).items())
    assert set(CHECKS) == scripts


@pytest.mark.parametrize("name", listed(".py"))
def test_an_example_is_short(name: str):
    """Each example is at most 80 lines long and says in its docstring how to run it."""
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 80
    assert any(f"python examples/{name}" in line for line in lines[:5])


@pytest.mark.parametrize(("name", "command"), listed(".py").items())
def test_a_listed_command_does_what_it_says(
    name: str, command: str, run: Callable[..., subprocess.CompletedProcess[str]], work: Path
):
    """Run with the speech that comes with asrlab, each ends with 0, and its output is what it is for."""
    python, script, *arguments = shlex.split(command)
    assert (python, script) == ("python", f"examples/{name}")
    done = run(name, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    CHECKS[name](done.stdout.splitlines(), work)


def timed_words(lines: list[str], _work: Path) -> None:
    """The words are those of the text, in order, within the clip; then the facts."""
    *spoken, language, audio, device, weights = lines
    start, end, text = re.fullmatch(f"{NUMBER}{NUMBER}  (.+)", spoken[0]).groups()  # type: ignore[union-attr]
    assert 0 <= float(start) < float(end) <= 7.1
    words = [re.fullmatch(f"{NUMBER}{NUMBER}  (.+)", line).groups() for line in spoken[1:]]  # type: ignore[union-attr]
    assert " ".join(word for _, _, word in words) == text == TEXTS[0]
    assert all(float(before[1]) <= float(after[0]) for before, after in pairwise(words))
    assert language == "language  en"
    assert audio.startswith("audio     7.10 s, transcribed in ")
    assert device.startswith("device    c")
    assert re.fullmatch(r"weights   faster-whisper/base, sha256 d01c3014[0-9a-f]{56}", weights)


def subtitles(lines: list[str], work: Path) -> None:
    """A file for each of the five clips, the second with its one sentence."""
    assert lines[-1] == "5 of 5 files have subtitles"
    assert len(list((work / "subtitles").glob("*.srt"))) == 5
    assert TEXTS[1] in (work / lines[1]).read_text(encoding="utf-8")


def stopped_at_a_word(lines: list[str], _work: Path) -> None:
    """The word is in the last segment and in no other, and there is no sum over all of the audio."""
    segments = [re.fullmatch(f"after{NUMBER} s:{NUMBER}{NUMBER}  (.+)", line) for line in lines]
    assert ["leisure" in found[4] for found in segments if found] == [False] * (len(lines) - 1) + [True]


def pieces_of_a_live_recording(lines: list[str], _work: Path) -> None:
    """The pieces follow one another to the end, none longer than asked for, and hold what was said."""
    pieces = [
        re.fullmatch(f"{NUMBER}{NUMBER} {NUMBER} s behind  (.+)", line).groups()  # type: ignore[union-attr]
        for line in lines
    ]
    assert len(pieces) >= 4
    assert all(before[1] == after[0] for before, after in pairwise(pieces))
    assert all(float(end) - float(start) <= 8.0 and float(behind) > 0 for start, end, behind, _ in pieces)
    text = " ".join(text for *_, text in pieces)
    assert [said in text for said in (TEXTS[0], "more respectable than he was", "amiable himself")] == [True] * 3


def engines_side_by_side(lines: list[str], _work: Path) -> None:
    """Two engines read the same text from the same weights and time its words; echo is not asked for a beam."""
    assert lines[::2] == [
        f"faster-whisper/base: {TEXTS[0]}",
        f"openai-whisper/base: {TEXTS[0]}",
        "echo/echo: loud loud loud loud loud loud loud quiet",
    ]
    both = "22 words timed, asked for word_timestamps and beam_size"
    assert [line.partition(", ")[2] for line in lines[1::2]] == [both, both, "8 words timed, asked for word_timestamps"]


def compared_with_counts(lines: list[str], _work: Path) -> None:
    """Two models have few errors in the smoke set's 70 words, and five clips of one speaker are no proof."""
    pattern = r"(\S+): WER [\d.]+% \(([0-4]) errors in 70 words, 0 utterances failed\), RTFx ([\d.]+)"
    found = [re.fullmatch(pattern, line) for line in lines[:2]]
    assert [match and match[1] for match in found] == ["faster-whisper/base", "faster-whisper/tiny.en"]
    assert all(match and float(match[3]) > 0 for match in found)
    assert ["too few to tell" in line for line in lines[2:]] == [True, True]


def scored(lines: list[str], _work: Path) -> None:
    """Capitals and full stops are no errors, five dropped words of 70 are, and no interval is made of one speaker."""
    assert lines == [
        "careful.csv: WER 0.0% (0 other words, 0 missing, 0 too many, of 70)",
        "hasty.trn: WER 7.1% (0 other words, 5 missing, 0 too many, of 70)",
        "hasty.trn against careful.csv: +7.1 points: too few to tell",
    ]


def patched_and_undone(lines: list[str], _work: Path) -> None:
    """Without the patches the package asks for CUDA, with them it decodes on mps, and afterwards it asks again."""
    before, patched, *statuses, after = lines
    no_cuda = "AssertionError: Torch not compiled with CUDA enabled (simulated)"
    assert (before, patched, after) == (f"before   {no_cuda}", "patched  23040 samples on mps:0", f"after    {no_cuda}")
    assert [re.sub(",.*", "", line.strip()) for line in statuses] == [
        "liquid-audio-resampling: not-needed",
        "liquid-audio-detokenizer-device: applied",
        "liquid-audio-flash-attention: not-needed",
        "liquid-audio-default-device: applied",
    ]


def answered(lines: list[str], _work: Path) -> None:
    """Two clips that were sent at once each get their own text."""
    assert lines[0].startswith("serving on http://127.0.0.1:")
    assert tuple(lines[1:]) == TEXTS


CHECKS: dict[str, Callable[[list[str], Path], None]] = {
    "transcribe_file.py": timed_words,
    "subtitle_folder.py": subtitles,
    "stream_segments.py": stopped_at_a_word,
    "live_loop.py": pieces_of_a_live_recording,
    "swap_engines.py": engines_side_by_side,
    "compare_models.py": compared_with_counts,
    "score_texts.py": scored,
    "patch_by_hand.py": patched_and_undone,
    "web_service.py": answered,
}
