"""Scores of STM, CTM and trn files agree with NIST's sclite."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path

import pytest

import asrlab
from asrlab.evaluation.alternatives import parse_alternatives
from asrlab.evaluation.datasets.hypotheses import read_hypotheses
from asrlab.evaluation.metrics import get_normalizer, score
from asrlab.evaluation.reports.score_files import choose_readings, load_references, match_hypotheses

type Counts = tuple[int, int, int, int]

NONE = get_normalizer("none")
DEBIAN = Path("/usr/lib/sctk/bin/sclite")


def ctm(*words: str) -> str:
    """Return the CTM of a file ``f`` with words of 0.2 s at the given starts."""
    return "".join(f"f 1 {start} 0.2 {word}\n" for start, word in (each.split() for each in words))


# Every case with the correct words, substitutions, deletions and insertions that sclite counts in it.
# Source: sclite 2.10 of Debian's sctk 2.4.10. `test_expected_counts_are_those_of_sclite` runs it again if installed.
TIMED: dict[str, tuple[str, str, Counts]] = {
    "words in an ignored segment": (
        "f 1 ann 0 2 hello there\nf 1 x 2 5 IGNORE_TIME_SEGMENT_IN_SCORING\nf 1 bob 5 7 good bye friend\n",
        ctm("0.1 hello", "1.1 there", "2.5 noise", "3.5 noise", "4.5 noise", "5.25 good", "5.75 bye", "6.5 friend"),
        (5, 0, 0, 0),
    ),
    "an ignored segment in small letters with a label": (
        "f 1 ann 0 2 hello\nf 1 inter_segment_gap 2 5 <o,,> ignore_time_segment_in_scoring\n",
        "f 1 0.5 0.2 hello\nf 1 2.5 0.2 noise\n",
        (1, 0, 0, 0),
    ),
    "a word in the gap before an ignored segment": (
        "f 1 ann 0 2 hello\nf 1 x 3 5 IGNORE_TIME_SEGMENT_IN_SCORING\nf 1 bob 5 7 bye\n",
        "f 1 0.5 0.2 hello\nf 1 2.25 0.5 noise\nf 1 5.5 0.2 bye\n",
        (2, 0, 0, 0),
    ),
    "words behind an ignored segment that is the last": (
        "f 1 ann 0 2 hello\nf 1 x 2 3 IGNORE_TIME_SEGMENT_IN_SCORING\n",
        "f 1 0.5 0.2 hello\nf 1 8.0 0.5 noise\n",
        (1, 0, 0, 0),
    ),
    "an ignored segment at the times of another": (
        "f 1 ann 0 2 IGNORE_TIME_SEGMENT_IN_SCORING\nf 1 bob 0 2 hello\n",
        "f 1 0.5 0.2 hello\n",
        (0, 0, 1, 0),
    ),
    "a turn within another": (
        "f 1 ann 0 10 one two three four five six\nf 1 bob 2 3 yes\n",
        ctm("0.5 one", "1.5 two", "2.4 yes", "4.0 three", "5.0 four", "6.0 five", "7.0 six"),
        (6, 0, 1, 1),
    ),
    "turns that overlap": (
        "f 1 ann 0 4 one two three\nf 1 bob 3 6 four five\n",
        "f 1 0.5 0.5 one\nf 1 1.5 0.5 two\nf 1 3.25 0.5 three\nf 1 4.0 0.5 four\nf 1 5.0 0.5 five\n",
        (5, 0, 0, 0),
    ),
    "a middle on a segment's end": (
        "f 1 ann 0 1 one\nf 1 bob 1 2 two\nf 1 cid 2 3 three\n",
        "f 1 0.0 0.5 one\nf 1 0.75 0.5 two\nf 1 1.5 1.0 three\n",
        (3, 0, 0, 0),
    ),
    "words before, between and behind all segments": (
        "f 1 ann 2 3 one\nf 1 bob 5 6 two\n",
        "f 1 0.0 0.5 zero\nf 1 2.25 0.5 one\nf 1 4.0 0.5 gap\nf 1 5.25 0.5 two\nf 1 9.0 0.5 end\n",
        (2, 0, 0, 3),
    ),
    "two channels at the same times": (
        "f A ann 0 2 one two\nf B bob 0 2 three four\n",
        "f A 0.5 0.2 one\nf A 1.5 0.2 two\nf B 0.5 0.2 three\nf B 1.5 0.2 for\n",
        (3, 1, 0, 0),
    ),
    "two speakers at the same times": (
        "f 1 ann 0 2 one two\nf 1 bob 0 2 three\n",
        "f 1 0.5 0.2 one\nf 1 1.5 0.2 two\n",
        (2, 0, 1, 0),
    ),
    "several files": (
        "f 1 ann 0 2 one two\ng 1 ann 0 2 three\n",
        "f 1 0.5 0.2 one\nf 1 1.5 0.2 to\ng 1 0.5 0.2 three\n",
        (2, 1, 0, 0),
    ),
    "alternatives": (
        "f 1 ann 0 3 i've { um / uh / @ } as { far { x / y z } / near } as\n",
        "f 1 0.2 0.2 i've\nf 1 0.6 0.2 as\nf 1 1.0 0.2 far\nf 1 1.4 0.2 y\nf 1 1.8 0.2 z\nf 1 2.2 0.2 as\n",
        (6, 0, 0, 0),
    ),
    "a segment without words": (
        "f 1 ann 0 1 one\nf 1 bob 1 2\nf 1 cid 2 3 two\n",
        "f 1 0.25 0.5 one\nf 1 1.25 0.5 uh\nf 1 2.25 0.5 two\n",
        (2, 0, 0, 1),
    ),
    "case": ("f 1 ann 0 2 One TWO\n", "f 1 0.5 0.2 ONE\nf 1 1.5 0.2 two\n", (2, 0, 0, 0)),
}
LINES: dict[str, tuple[str, str, Counts]] = {
    "first alternative": ("i { um / uh } agree", "i um agree", (3, 0, 0, 0)),
    "second alternative": ("i { um / uh } agree", "i uh agree", (3, 0, 0, 0)),
    "no alternative": ("i { um / uh } agree", "i er agree", (2, 1, 0, 0)),
    "nothing said": ("i { um / uh / @ } agree", "i agree", (2, 0, 0, 0)),
    "nothing said and a word written": ("i { um / @ } agree", "i er agree", (2, 0, 0, 1)),
    "nested": ("a { b / c { d / e f / @ } } g", "a c e f g", (5, 0, 0, 0)),
    "alternatives of several words": (
        "{ going to / gonna } leave { right now / at once }",
        "gonna leave at once",
        (4, 0, 0, 0),
    ),
    "alternatives without spaces": ("{um/uh}x {a b/c}", "uh x c", (3, 0, 0, 0)),
    "an alternative without words": ("a { b / } c", "a c", (2, 0, 1, 0)),
    "no word outside of braces": ("a @ b", "a b @", (2, 0, 0, 0)),
    "alternatives in the hypothesis": ("a b c", "a { x / b } c", (3, 0, 0, 0)),
    "alternatives on both sides": ("a { b / c } d", "a { x / c } d", (3, 0, 0, 0)),
    "optional words are words": ("a (uh) b", "a uh b", (2, 1, 0, 0)),
    "hesitations are words": ("%HESITATION yes", "yes", (1, 0, 1, 0)),
    "a fragment is a word": ("th- the end", "the end", (2, 0, 1, 0)),
    "nothing written": ("{ a b / c } d", "", (0, 0, 2, 0)),
    "case": ("Well { OK / okay }", "well ok", (2, 0, 0, 0)),
}
NAMED = [("timed", name) for name in TIMED] + [("lines", name) for name in LINES]


@cache
def sclite() -> tuple[str, ...]:
    """The command that runs sclite; skips the test where it is not installed."""
    if found := shutil.which("sclite"):
        return (found,)
    if DEBIAN.exists():
        return (str(DEBIAN),)
    pytest.skip("sclite is not installed (Debian: apt-get install sctk)")


def sclite_counts(folder: Path, *files: str) -> dict[str, Counts]:
    """Return sclite's counts of each utterance or segment, by sclite's id."""
    arguments = ["-o", "pralign", "stdout", "-f", "0", "-O", str(folder)]
    ran = subprocess.run(
        [*sclite(), *files, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    found = re.findall(
        r"^id: \((\S+)\)\n(?:File: .*\n)?(?:Channel: .*\n)?Scores: \(#C #S #D #I\) (.*)$", ran.stdout, re.MULTILINE
    )
    return {name.lower(): as_counts(map(int, numbers.split())) for name, numbers in found}


def as_counts(numbers: Sequence[int] | map[int]) -> Counts:
    """Return hits, substitutions, deletions and insertions."""
    correct, substituted, deleted, inserted = numbers
    return correct, substituted, deleted, inserted


def own_counts(folder: Path, hypotheses: str, references: str) -> dict[str, tuple[Counts, str, str]]:
    """Return asrlab's counts of each utterance and the compared texts, by id."""
    file = read_hypotheses(folder / hypotheses)
    _, said = load_references(folder / references, [file])
    system = choose_readings(
        match_hypotheses(file, said, name="h", allow_extra=False), lambda _language, text: lowered(text)
    )
    found = {}
    for pair in system.pairs():
        one, other = lowered(pair.reference), lowered(pair.hypothesis)
        counted = score([type(pair)(id=pair.id, reference=one, hypothesis=other)], normalizer=NONE)
        words = counted.words
        inserted = words.insertions + counted.empty_reference_insertions
        found[pair.id] = ((words.hits, words.substitutions, words.deletions, inserted), one, other)
    return found


def lowered(text: str) -> str:
    """Return the text in lower case, as sclite compares texts."""
    return " ".join(text.lower().split())


def write_case(folder: Path, kind: str, name: str) -> tuple[str, str, Counts]:
    """Write the files of a case; return their names and sclite's counts."""
    said, written, counts = (TIMED if kind == "timed" else LINES)[name]
    names = ("r.stm", "h.ctm") if kind == "timed" else ("r.trn", "h.trn")
    texts = (said, written) if kind == "timed" else (f"{said} (u_1)\n", f"{written} (u_1)\n")
    for file, text in zip(names, texts, strict=True):
        (folder / file).write_text(text, encoding="utf-8")
    return (*names, counts)


def total(counts: Sequence[Counts]) -> Counts:
    """Return the sum of the counts."""
    return as_counts([sum(column) for column in zip(*counts, strict=True)])


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_files_are_counted_as_by_sclite(tmp_path: Path, kind: str, name: str):
    """Segments, ignored segments and alternatives give sclite's counts, also with `score`."""
    references, hypotheses, counts = write_case(tmp_path, kind, name)

    assert total([each for each, _, _ in own_counts(tmp_path, hypotheses, references).values()]) == counts
    [file] = asrlab.evaluation.score(tmp_path / hypotheses, references=tmp_path / references, normalizer="none").files
    errors = file.score.words.errors + file.score.empty_reference_insertions
    assert name == "case" or errors == sum(counts[1:])


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_expected_counts_are_those_of_sclite(tmp_path: Path, kind: str, name: str):
    """The expected counts are those of the installed sclite."""
    references, hypotheses, counts = write_case(tmp_path, kind, name)
    formats = ("stm", "ctm") if kind == "timed" else ("trn", "trn")
    given = ["-r", references, formats[0], "-h", hypotheses, formats[1]]

    assert total(list(sclite_counts(tmp_path, *given, *([] if kind == "timed" else ["-i", "rm"])).values())) == counts


@pytest.mark.parametrize("given", ["file", "file without its ending", "folder", "data set"])
def test_ignored_segments_apply_to_all_sources_of_references(tmp_path: Path, given: str):
    """Words in an ignored segment are not errors, whether the STM is a file, a folder or a data set."""
    references, hypotheses, counts = write_case(tmp_path, "timed", "words in an ignored segment")
    (tmp_path / "f.wav").touch()
    (tmp_path / "plain").write_bytes((tmp_path / references).read_bytes())
    ways = {
        "file": tmp_path / references,
        "file without its ending": tmp_path / "plain",
        "folder": tmp_path,
        "data set": asrlab.evaluation.load_dataset(tmp_path / references),
    }
    [file] = asrlab.evaluation.score(tmp_path / hypotheses, references=ways[given], normalizer="none").files
    assert (file.score.words.hits, file.score.words.errors) == (counts[0], 0)


def best_counts(said: Sequence[str], written: Sequence[str], weights: tuple[int, int]) -> tuple[int, set[Counts]]:
    """Return the lowest cost of an alignment, and the counts of all alignments with that cost."""
    replaced, added = weights
    cells: dict[tuple[int, int], tuple[int, set[Counts]]] = {(0, 0): (0, {(0, 0, 0, 0)})}
    for i, j in product(range(len(said) + 1), range(len(written) + 1)):
        ways: list[tuple[int, int, tuple[int, int]]] = []
        if i and j:
            same = said[i - 1] == written[j - 1]
            ways.append((0 if same else replaced, 0 if same else 1, (i - 1, j - 1)))
        ways += [(added, 2, (i - 1, j))] if i else []
        ways += [(added, 3, (i, j - 1))] if j else []
        if ways:
            lowest = min(cells[before][0] + cost for cost, _, before in ways)
            cells[i, j] = (
                lowest,
                {
                    as_counts([number + (place == kind) for place, number in enumerate(counts)])
                    for cost, kind, before in ways
                    if cells[before][0] + cost == lowest
                    for counts in cells[before][1]
                },
            )
    return cells[len(said), len(written)]


def is_clear(readings: Sequence[str], written: str) -> bool:
    """Return whether the weights of sclite and asrlab leave only one way to count, without ties."""
    counted = [best_counts(reading.split(), written.split(), (4, 3)) for reading in dict.fromkeys(readings)]
    plain = [best_counts(reading.split(), written.split(), (1, 1)) for reading in dict.fromkeys(readings)]
    lowest = min(cost for cost, _ in counted)
    best = [(counts, plain[at][1]) for at, (cost, counts) in enumerate(counted) if cost == lowest]
    return all(counts == other == best[0][0] and len(counts) == 1 for counts, other in best)


def random_text(draw: random.Random) -> str:
    """Return a text with at most 12 readings."""
    texts = (random_words(draw, 0) for _ in range(1000))
    return next(text for text in texts if readings_of(text))


def random_words(draw: random.Random, depth: int) -> str:
    """Return words, some of them in alternatives that may nest."""
    parts = []
    for _ in range(draw.randint(1, 5 - depth)):
        if depth < 2 and draw.random() < 0.35:
            others = [random_words(draw, depth + 1) for _ in range(draw.randint(1, 3))]
            parts.append("{ " + " / ".join([*others, draw.choice(["@", "zero"])]) + " }")
        else:
            parts.append(f"w{draw.randint(0, 60)}")
    return " ".join(parts)


def readings_of(text: str) -> tuple[str, ...]:
    """Return all readings of a text; none if there are more than 12."""
    found = parse_alternatives(text)
    return (text,) if found is None else found.readings(most=12) or ()


def spoiled(draw: random.Random, text: str) -> str:
    """Return the text with a few errors."""
    words = []
    for word in text.split():
        kind = draw.choices(("keep", "replace", "delete", "insert"), (8, 1, 1, 1))[0]
        words += {"keep": [word], "replace": ["other"], "delete": [], "insert": [word, "more"]}[kind]
    return " ".join(words)


def test_random_lines_are_counted_as_by_sclite(tmp_path: Path):
    """60 references with nested alternatives and as many hypotheses have sclite's counts, one by one."""
    draw = random.Random(14)  # noqa: S311 - cases, not keys
    cases: list[tuple[str, str]] = []
    while len(cases) < 60:
        said = random_text(draw)
        written = spoiled(draw, draw.choice(readings_of(said)))
        if is_clear(readings_of(said), written):
            cases.append((said, written))
    for name, column in (("r.trn", 0), ("h.trn", 1)):
        lines = [f"{case[column]} (u_{number:03})\n" for number, case in enumerate(cases)]
        (tmp_path / name).write_text("".join(lines), encoding="utf-8")
    theirs = sclite_counts(tmp_path, "-r", "r.trn", "trn", "-h", "h.trn", "trn", "-i", "rm")

    assert {name: counts for name, (counts, _, _) in own_counts(tmp_path, "h.trn", "r.trn").items()} == theirs
    assert sum("{" in said for said, _ in cases) > 20


def random_recording(draw: random.Random, name: str) -> tuple[list[str], list[str]]:
    """Return the STM and CTM lines of a recording; times are in quarters of a second, so that many are on edges."""
    channels = draw.choice([("1",), ("A", "B")])
    said, written = [], []
    for channel in channels:
        spans = sorted((draw.randint(0, 40), draw.randint(1, 12)) for _ in range(draw.randint(1, 6)))
        heard: list[tuple[int, int, str]] = []
        for number, (start, length) in enumerate(spans):
            text = random_text(draw) if draw.random() < 0.9 else ""
            heard += spoken(draw, start, length, spoiled(draw, draw.choice(readings_of(text))))
            if draw.random() < 0.25:
                text = "IGNORE_TIME_SEGMENT_IN_SCORING"
            speaker = f"{name}{channel}{number}".lower()
            said.append(f"{name} {channel} {speaker} {start / 4} {(start + length) / 4} {text}\n")
        heard += [(draw.randint(0, 60), 1, "noise") for _ in range(draw.randint(1, 3))]
        for start, length, word in sorted(heard, key=lambda each: each[0]):
            written.append(f"{name} {channel} {start / 4} {length / 4} {word}\n")
    return said, written


def spoken(draw: random.Random, start: int, length: int, text: str) -> list[tuple[int, int, str]]:
    """Return words with starts and lengths, mostly within a segment."""
    words = text.split()
    starts = sorted(draw.randint(start, start + length) for _ in words)
    return [(at, draw.randint(1, 3), word) for at, word in zip(starts, words, strict=True)]


def test_random_recordings_are_counted_as_by_sclite(tmp_path: Path):
    """40 recordings with gaps, nested and overlapping turns, ignored ones and two channels have sclite's counts."""
    draw = random.Random(15)  # noqa: S311 - cases, not keys
    recordings = [random_recording(draw, f"f{number:02}") for number in range(40)]
    for name, column in (("r.stm", 0), ("h.ctm", 1)):
        lines = [line for recording in recordings for line in recording[column]]
        (tmp_path / name).write_text("".join(lines), encoding="utf-8")
    references = load_references(tmp_path / "r.stm", [])[1]
    speakers = {each.id: f"{each.speaker}-000" for each in references}
    texts = {each.id: each.text for each in references}
    theirs = sclite_counts(tmp_path, "-r", "r.stm", "stm", "-h", "h.ctm", "ctm")
    own = own_counts(tmp_path, "h.ctm", "r.stm")

    assert {speakers[name] for name in own} == theirs.keys()
    clear = 0
    for name, (counts, _, written) in own.items():
        given = theirs[speakers[name]]
        assert counts[0] + counts[1] + counts[3] == given[0] + given[1] + given[3], (name, written)
        if is_clear(readings_of(texts[name]), written):
            clear += 1
            assert counts == given, (name, texts[name], written)
    assert clear > 60
