# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: -jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Comparing two models, from the run to the document
#
# Two models go over the same utterances. What comes of it: error rates with paired intervals, the utterances with the
# most errors, a report to pass on, and a document that cannot say more than the run did.

# %%
import importlib.util
import subprocess
import sys
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from IPython.display import HTML

# Until asrlab is published, name its wheel or a clone here: "./NAME.whl[all]".
PACKAGE = "asrlab[all]"
if importlib.util.find_spec("asrlab") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", PACKAGE], check=True)

# %% [markdown]
# ## What to compare
#
# `DATA` is the name of a data set or the path of one of yours: a folder of audio with `.txt` files beside it will do.
# The five clips that come with asrlab are of one speaker, and show how it goes, not who wins.
#
# Two number formats of one model are compared likewise:
# `{"int8": ("faster-whisper/base", "int8"), "float32": ("faster-whisper/base", "float32")}`.

# %% tags=["parameters"]
DATA = "smoke"
SYSTEMS = {"base": ("faster-whisper/base", "int8"), "tiny-en": ("faster-whisper/tiny.en", "int8")}
FOLDER = "comparison"  # gets all that is written here

# %% [markdown]
# ## The runs
#
# Every outcome is on the disk as soon as it is there. If this cell is stopped, run it again: it goes on where it was,
# and a run that is complete is only read. For figures of speed let nothing else run, and add `warmup=1, repeat=3`.

# %%
import asrlab

folder = Path(FOLDER)
runs = [
    asrlab.evaluation.bench(DATA, models=model, compute_type=compute_type, run=folder / "runs" / name)
    for name, (model, compute_type) in SYSTEMS.items()
]
comparison = asrlab.evaluation.compare(runs)
print(*comparison.headline, *comparison.notes, sep="\n")

# %% [markdown]
# ## Whether the difference is more than chance
#
# The intervals are of the *difference*, from utterances that are drawn again and again for both systems alike; whole
# speakers or recordings are drawn where the data set knows them. Under six of those there is no interval.

# %%
TOO_FEW = "too few to tell"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> HTML:
    """Return an HTML table; cells are escaped text unless they are `HTML` already."""
    lines = [[f"<th>{escape(name)}</th>" for name in head]]
    lines += [[f'<td style="text-align: left">{shown(cell)}</td>' for cell in row] for row in rows]
    return HTML("<table>" + "".join(f"<tr>{''.join(cells)}</tr>" for cells in lines) + "</table>")


def shown(cell: object) -> str:
    """Return the HTML of a cell."""
    return cell.data if isinstance(cell, HTML) else escape(str(cell))


def proven(found: object, figures: str) -> str:
    """Return the interval and the p-value if they are defined."""
    return "" if found.verdict == TOO_FEW else figures


def wer_rows() -> Iterable[Sequence[object]]:
    """Return one row per pair of systems."""
    for found in comparison.wer.differences:
        low, high = 100 * found.interval.low, 100 * found.interval.high
        interval = proven(found, f"{low:+.2f} to {high:+.2f}")
        points = f"{100 * found.difference:+.2f} points"
        yield found.candidate, found.baseline, points, interval, proven(found, f"{found.p_adjusted:.3f}"), found.verdict


def speed_rows() -> Iterable[Sequence[object]]:
    """Likewise."""
    for found in comparison.speed.ratios if comparison.speed else ():
        interval = proven(found, f"{found.interval.low:.2f}x to {found.interval.high:.2f}x")
        p_value = proven(found, f"{found.p_adjusted:.3f}")
        yield found.candidate, found.baseline, f"{found.ratio:.2f}x RTFx", interval, p_value, found.verdict


table(["system", "compared with", "difference", "95 % interval", "p", "verdict"], [*wer_rows(), *speed_rows()])

# %% [markdown]
# ## Where the errors are
#
# The utterances with the most errors over both systems. Struck-through words are only in the reference, and
# underlined words only in the hypothesis.

# %%
from asrlab.evaluation.reports.details import build_details
from asrlab.evaluation.reports.scored_system import alignment_spans
from asrlab.evaluation.reports.systems import ComparisonOptions


def marked(words: Sequence[object]) -> HTML:
    """Return the text of a system with its differences from the reference marked."""
    parts = []
    for span in alignment_spans(words):
        if span.is_equal:
            parts.append(escape(span.reference))
        else:
            parts += [f"<del>{escape(span.reference)}</del>"] if span.reference else []
            parts += [f"<ins>{escape(span.hypothesis)}</ins>"] if span.hypothesis else []
    return HTML(" ".join(parts))


worst = build_details(runs, ComparisonOptions(worst_n=5)).worst
table(
    ["utterance", "system", "errors", "text"],
    [
        (each.id if place == 0 else "", system, outcome.errors, marked(outcome.words))
        for each in worst
        for place, (system, outcome) in enumerate(each.scored)
    ],
)

# %% [markdown]
# ## A report to pass on
#
# One file that needs no network, with the clips of the worst utterances to play.

# %%
page = asrlab.evaluation.report(runs, audio=True)
page.write(folder / "report.html")
print(folder / "report.html", *page.notes, sep="\n")

# %% [markdown]
# ## The numbers in a document
#
# The runs are exported to small files, which you commit beside the document. In it, figures and tables stand between
# markers, and `asrlab verify --write` fills them in from the records.


# %%
def command(*arguments: str | Path) -> int:
    """Run ``asrlab`` in the folder, show what it says, and give its exit code."""
    asked = [sys.executable, "-m", "asrlab", *map(str, arguments)]
    done = subprocess.run(asked, cwd=folder, capture_output=True, check=False)
    print((done.stdout + done.stderr).decode())
    return done.returncode


(folder / "evidence").mkdir(exist_ok=True)
lines = ["# Results"]
for name, (model, _) in SYSTEMS.items():
    record = f"{name}.jsonl"
    command("runs", Path("runs", name), "--only-table", "--export", Path("evidence", record))
    figures = [
        f"<!-- asrlab:figure record={record} figure={figure} --><!-- asrlab:end -->" for figure in ("errors", "words")
    ]
    lines += [f"In this run {model} made {figures[0]} errors in {figures[1]} words."]
    lines += [f"<!-- asrlab:begin run record={record} -->\n<!-- asrlab:end -->"]
document = folder / "results.md"
document.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
command("verify", document.name, "--write")
print(document.read_text(encoding="utf-8"))

# %% [markdown]
# Run `asrlab verify` in CI. It prints the line of a sentence that no record backs, and exits with 1:

# %%
boast = folder / "boast.md"
boast.write_text("faster-whisper/tiny.en has a WER of 0.5 % and is twice as fast as all others.\n", encoding="utf-8")
print("exit code of the document:", command("verify", document.name))
print("exit code of the boast:", command("verify", boast.name))
