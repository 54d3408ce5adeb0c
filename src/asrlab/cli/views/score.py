"""Differences of two texts, marked so that they can be read without colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from asrlab.cli.views.compare import differences_view, wer_table
from asrlab.cli.views.extra_metrics import figures_table, new_table, percent, rate_of, unknown_languages
from asrlab.evaluation.metrics import AlignedWord, describe_normalizers
from asrlab.evaluation.reports.score_files import ScoredFile, Scoring
from asrlab.evaluation.reports.worst import alignment_spans
from asrlab.terminal.screen import Text

LEGEND = "[-in the reference only-] {+in the hypothesis only+}"


def marked(words: Sequence[AlignedWord]) -> Text:
    """The words of an alignment, what differs with marks around it."""
    return Text(" ").join(_parts(words))


def _parts(words: Sequence[AlignedWord]) -> Iterator[Text]:
    for span in alignment_spans(words):
        if span.is_equal:
            yield Text(span.reference)
            continue
        if span.reference:
            yield Text(f"[-{span.reference}-]", style="red")
        if span.hypothesis:
            yield Text(f"{{+{span.hypothesis}+}}", style="green")


TOLD = 5


def show_scoring(screen: Console, scoring: Scoring, *, words: int) -> None:
    """Print it: the files, against each other where there are several, what is missing, and the further figures."""
    screen.print(_files(scoring))
    for each in _below(scoring, words):
        screen.print()
        screen.print(each, soft_wrap=isinstance(each, Text))


def _below(scoring: Scoring, words: int) -> Iterator[Table | Text]:
    if scoring.unknown_language:
        cure = "if they are English, give --language en"
        yield Text(unknown_languages(scoring.unknown_language, scoring.utterances, cure=cure))
    for file in scoring.files:
        if file.missing:
            yield Text(f"{file.name}: {len(file.missing)} missing, counted as deletions: {_told(file.missing)}")
        if file.extra:
            yield Text(f"{file.name}: {len(file.extra)} without a reference, left out: {_told(file.extra)}")
    if scoring.wer:
        yield wer_table(scoring.wer, scoring.bootstrap_unit or "utterance")
    yield from figures_table(scoring.figures)
    for differences in scoring.differences if words else ():
        yield from differences_view(differences, words)


def _told(ids: tuple[str, ...]) -> str:
    more = f", and {len(ids) - TOLD} more" if len(ids) > TOLD else ""
    return f"{', '.join(ids[:TOLD])}{more}"


def _files(scoring: Scoring) -> Table:
    columns = ["hypotheses", "form", "WER (errors/words)", "S D I", "CER", "MER", "WIL", "missing"]
    first = scoring.files[0].score
    apart = f"; {first.empty_references} empty references apart" if first.empty_references else ""
    told = describe_normalizers(first.normalizer, first.normalizers)
    caption = f"references: {scoring.references}; normalizer {told} ({first.normalizer_version}){apart}"
    made = new_table(f"{scoring.utterances} utterances", columns, texts=2, caption=caption)
    for file in scoring.files:
        made.add_row(*map(Text, _row(file)))
    return made


def _row(file: ScoredFile) -> tuple[str, ...]:
    words, score = file.score.words, file.score
    return (
        file.name,
        file.format,
        rate_of(words.errors, words.reference_length),
        f"{words.substitutions} {words.deletions} {words.insertions}",
        percent(score.cer),
        percent(score.mer),
        percent(score.wil),
        str(len(file.missing)),
    )
