"""The results of scored files of hypotheses."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import attrs

from asrlab.control_characters import escape_json
from asrlab.evaluation.metrics import Score, WerComparison, WordDifferences
from asrlab.evaluation.reports.extra_metrics import RunMetrics
from asrlab.evaluation.reports.formatting import format_error_rate, format_percent
from asrlab.result_display import HtmlTable, Tabular


@attrs.frozen(kw_only=True)
class ScoredFile:
    """The score of one file of hypotheses.

    Attributes:
        name: The file's name, or its path if two files have the same name.
        path: The file's path, as given.
        format: ``csv``, ``ctm``, ``leaderboard`` or ``trn``.
        score: The score; an utterance that is not in the file counts as deletions.
        missing: The ids of utterances that are not in the file.
        extra: The ids of hypotheses without a reference, which are left out.
    """

    name: str
    path: str
    format: str
    score: Score
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


@attrs.frozen(kw_only=True, repr=False)
class Scoring(Tabular):
    """The scores of one file of hypotheses, or of several over the same utterances.

    Attributes:
        references: The source of the references.
        utterances: Number of utterances.
        files: The files in the order given. The first is the baseline of the others.
        unknown_language: Number of utterances with the normalizer ``basic`` because their language is unknown.
        bootstrap_unit: The unit that was resampled: ``speaker``, ``recording`` or ``utterance``; None for one file.
        wer: The comparison of the files; None for one file.
        figures: Other normalizers and entities.
        differences: The first file's words compared with each other file's.
        numpy: The version of numpy, which with the seed determines the resamples.
        asrlab: The version of asrlab.
    """

    references: str
    utterances: int
    files: tuple[ScoredFile, ...]
    unknown_language: int
    bootstrap_unit: str | None
    wer: WerComparison | None
    figures: RunMetrics
    differences: tuple[WordDifferences, ...]
    numpy: str
    asrlab: str
    _COLUMNS: ClassVar[tuple[str, ...]] = (
        *("name", "format", "words", "errors", "substitutions", "deletions", "insertions", "wer", "cer"),
        *("missing", "extra"),
    )

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one row a file: its errors in words, its error rates, and numbers of missing and extra ids."""
        counts = ("errors", "substitutions", "deletions", "insertions")
        return [
            {
                "name": file.name,
                "format": file.format,
                "words": file.score.words.reference_length,
                **{name: getattr(file.score.words, name) for name in counts},
                "wer": file.score.wer,
                "cer": file.score.cer,
                "missing": len(file.missing),
                "extra": len(file.extra),
            }
            for file in self.files
        ]

    def _summary(self) -> str:
        rates = ", ".join(f"{file.name} WER {format_percent(file.score.wer)}" for file in self.files)
        return f"of {self.utterances} utterances: {rates}"

    def _html_table(self) -> HtmlTable:
        columns = ("file", "WER (errors/words)", "CER", "missing", "extra")
        rows = [
            (
                *(row["name"], format_error_rate(row["errors"], row["words"]), format_percent(row["cer"])),
                *(row["missing"], row["extra"]),
            )
            for row in self.to_dicts()
        ]
        return HtmlTable(caption=(f"{self.utterances} utterances of {self.references}",), columns=columns, rows=rows)

    @property
    def missing(self) -> int:
        """Number of missing hypotheses over all files."""
        return sum(len(file.missing) for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `to_json` as JSON values, for a web framework or a database."""
        content: dict[str, Any] = json.loads(self.to_json())
        return content

    def to_json(self) -> str:
        """Return the scores as a JSON object."""
        plain = attrs.asdict(self, filter=lambda field, _: field.name != "figures")
        for file, plain_file in zip(self.files, plain["files"], strict=True):
            rates = {name: getattr(file.score, name) for name in ("wer", "cer", "mer", "wil")}
            plain_file["score"] = rates | plain_file["score"]
        plain["figures"] = self.figures.to_plain()
        if self.wer:
            plain["wer"]["systems"] = {name: attrs.asdict(counts) for name, counts in self.wer.systems}
        return escape_json(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"
