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
# # Speech to text with asrlab on Google Colab
#
# Runs top to bottom on Colab, and in any other Jupyter. *Runtime → Change runtime type* gives you a machine with a GPU;
# without one everything runs on the CPU. The speech, and the weights of the two models below, come in packages: no
# model hub is asked.

# %%
import importlib.util
import subprocess
import sys
from collections.abc import Iterable, Sequence
from html import escape

from IPython.display import HTML

# Until asrlab is published, build its wheel, upload that, and name it here: "./NAME.whl[all]".
PACKAGE = "asrlab[all]"
if importlib.util.find_spec("asrlab") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", PACKAGE], check=True)

# %% [markdown]
# ## The device
#
# `device="auto"` takes the best that the engine can use here, cuda first, and says why. A device that you name instead
# is used or refused, never replaced.

# %%
import asrlab

transcriber = asrlab.load("faster-whisper/base", device="auto")
device = transcriber.info.device
print(f"asked for {device.requested}, uses {device.resolved} in {transcriber.info.compute_type}: {device.reason}")

# %% [markdown]
# ## Words with their times
#
# What a recording says may be anything, HTML included. So `table` takes every cell for text.


# %%
def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> HTML:
    """Return an HTML table; all cells are escaped text."""
    lines = [[f"<th>{escape(name)}</th>" for name in head]]
    lines += [[f'<td style="text-align: left">{escape(str(cell))}</td>' for cell in row] for row in rows]
    return HTML("<table>" + "".join(f"<tr>{''.join(cells)}</tr>" for cells in lines) + "</table>")


clip = next(iter(asrlab.evaluation.load_dataset("smoke")))
transcript = transcriber.transcribe(clip.audio, word_timestamps=True)
print(transcript.text)
table(["start", "end", "word"], [(f"{word.start:.2f}", f"{word.end:.2f}", word.text) for word in transcript.words])

# %% [markdown]
# ## Your own files
#
# On Colab this asks for files in any format; cancel it if you have none. Unreadable files are reported and skipped.

# %%
try:
    from google.colab import files
except ImportError:
    print("not on Colab: put paths in place of the uploaded files")
    uploaded = {}
else:
    uploaded = files.upload()
outcomes = transcriber.transcribe_many(uploaded.values())
texts = [outcome.transcript.text if outcome.transcript else f"failed: {outcome.error}" for outcome in outcomes]
table(["file", "text"], zip(uploaded, texts, strict=True))

# %% [markdown]
# ## Two models
#
# Each runs in a process of its own, over the same five clips. That is enough to see that both work, and too little to
# rank them: the last line says so. `comparison.ipynb` goes further, with data of yours.

# %%
transcriber.close()  # gives the memory back, before two others are loaded
result = asrlab.evaluation.bench("smoke", models=["faster-whisper/base", "faster-whisper/tiny.en"], device="auto")
result

# %%
import pandas as pd

pd.set_option("display.max_colwidth", None)
print(*asrlab.evaluation.compare([result]).headline, sep="\n")
utterances = result.to_pandas()
utterances.pivot(index=["id", "reference"], columns="model", values="hypothesis").reset_index()
