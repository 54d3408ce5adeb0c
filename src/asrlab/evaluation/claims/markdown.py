"""TODO."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from asrlab.evaluation.claims.evidence import Evidence
from asrlab.evaluation.claims.support_status import SupportMatrix


@attrs.frozen(kw_only=True)
class RenderContext:
    """What a block is written for.

    Attributes:
        document: The file it stands in; links lead from there.
        evidence: The records.
        board: What may be said of each model.
    """

    document: Path
    evidence: Evidence
    board: SupportMatrix

    def link(self, record: str) -> str:
        """A link to a record."""
        folder = os.path.relpath(self.evidence.folder.resolve(), self.document.resolve().parent)
        return f"[{record}]({Path(folder).as_posix()}/{record})"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    """A table; the columns whose headings are in *right* hold figures."""
    rule = ["---:" if heading in right else "---" for heading in headings]
    lines = [headings, rule, *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def code_span(text: str) -> str:
    """Somebody's own words, as code, so that nothing in them is read as Markdown."""
    return f"`{re.sub(r'\s+', ' ', text).replace('`', "'").strip()}`" if text.strip() else ""


def escape_markdown(text: str) -> str:
    """Somebody's own words as text, with nothing in them that Markdown would read."""
    return re.sub(r"([\\`*<>\[\]])", r"\\\1", text)


def split_names(text: str) -> list[str]:
    """The names in an option, between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
