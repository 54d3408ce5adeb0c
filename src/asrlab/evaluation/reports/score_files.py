"""Hypotheses from elsewhere, held against what was said, without running an engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from asrlab._version import __version__
from asrlab.control_characters import escape_json
from asrlab.environment import installed_version
from asrlab.errors import OptionError
from asrlab.evaluation.datasets import Dataset
from asrlab.evaluation.datasets.hypotheses import read_hypotheses
from asrlab.evaluation.datasets.references import Reference
from asrlab.evaluation.metrics import (
    Profile,
    Resampling,
    Score,
    TextPair,
    WerComparison,
    WordDifferences,
    compare_wer,
    get_profile,
    profile_for,
    score as score_pairs,
    word_differences,
)
from asrlab.evaluation.reports.extra_metrics import RunMetrics, hypothesis_metrics, prepare_all
from asrlab.evaluation.reports.hypothesis_matching import (
    MatchedHypotheses,
    choose_readings,
    load_references,
    match_hypotheses,
)
from asrlab.evaluation.reports.systems import BootstrapUnit, bootstrap_units
from asrlab.languages import language_tag


@attrs.frozen(kw_only=True)
class ScoredFile:
    """One file of hypotheses.

    Attributes:
        name: What the scoring calls it: the file's name, or its path where two have the same.
        path: The file, as it was given.
        format: ``csv``, ``ctm``, ``leaderboard`` or ``trn``.
        score: Its errors; an utterance that is not in the file counts as deletions.
        missing: The ids of those utterances.
        extra: The ids of hypotheses without a reference, which are left out.
    """

    name: str
    path: str
    format: str
    score: Score
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Scoring:
    """The errors of one file of hypotheses, or of several over the same utterances.

    Attributes:
        references: Where what was said comes from, in words.
        utterances: How many there are.
        files: In the order given; the first is the baseline of the others.
        unknown_language: How many have the normalizer ``basic`` because nobody said their language.
        bootstrap_unit: What was drawn together: ``speaker``, ``recording`` or ``utterance``; None where nothing was compared.
        wer: The files against each other; None for one.
        figures: Other normalizers and entities.
        differences: Word by word, the first file with each other one.
        numpy: The version that drew the resamples.
        asrlab: The version that scored.
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

    @property
    def missing(self) -> int:
        """How many hypotheses are missing, over all files."""
        return sum(len(each.missing) for each in self.files)

    def to_json(self) -> str:
        """Everything, as one JSON object."""
        plain = attrs.asdict(self, filter=lambda field, _: field.name != "figures")
        plain |= {"files": [_plain_file(each) for each in self.files], "figures": self.figures.to_plain()}
        if self.wer:
            plain["wer"]["systems"] = {name: attrs.asdict(counts) for name, counts in self.wer.systems}
        return escape_json(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"


@attrs.frozen(kw_only=True)
class ScoreOptions:
    """How hypotheses are scored.

    Attributes:
        format: Of the hypotheses; None tells it by content.
        normalizer: A profile's name; None gives each utterance that of its language, ``english`` or ``basic``, which
            is also for languages that are not known.
        language: Tag of the language of references that do not say theirs; None leaves it unknown.
        normalizers: Profiles to set the same texts side by side under.
        bootstrap_unit: What is drawn together where files are compared.
        resampling: Of the comparison; 10,000 resamples, seed 0 and 95 % where not given.
        allow_extra: Leave out hypotheses without a reference, which are an error otherwise.
        top_words: How many word-level mistakes of each file are kept.
        allow_external_audio: Accept files of a data set's texts that are links out of its folder. Its audio is not opened, and
            may lie anywhere.
    """

    format: str | None = None
    normalizer: str | None = None
    language: str | None = None
    normalizers: tuple[str, ...] = ()
    bootstrap_unit: BootstrapUnit = "auto"
    resampling: Resampling | None = None
    allow_extra: bool = False
    top_words: int = 20
    allow_external_audio: bool = False


def score(
    hypotheses: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    references: str | PathLike[str] | Dataset | None = None,
    **options: Any,
) -> Scoring:
    """Score files of hypotheses that another program wrote; two or more are compared with each other, too.

    Args:
        hypotheses: A file or several: a table with ``utt_id`` and ``text``, trn, CTM, or the Open ASR Leaderboard's
            JSONL.
        references: What was said: a trn or STM file, a table with ids and texts, or anything that `load_dataset`
            takes; None takes it from the hypotheses where they have it.
        options: As in `ScoreOptions`.

    Raises:
        DatasetError: A file cannot be read, there are no references, or a hypothesis has none.
        OptionError: An option is unknown or has a value that it cannot have.
    """
    chosen = _options(options)
    paths = [Path(hypotheses)] if isinstance(hypotheses, str | PathLike) else [Path(each) for each in hypotheses]
    if not paths:
        raise OptionError("there is nothing to score; give a file of hypotheses", option="hypotheses")
    files = [read_hypotheses(path, format=chosen.format) for path in paths]
    source, said = load_references(references, files, allow_external_audio=chosen.allow_external_audio)
    said = tuple(attrs.evolve(each, language=each.language or chosen.language) for each in said)
    names = _names(paths)
    systems = [
        match_hypotheses(each, said, name=name, allow_extra=chosen.allow_extra)
        for name, each in zip(names, files, strict=True)
    ]
    return _scoring(source, systems[0].utterances, systems, chosen)


def _options(given: dict[str, Any]) -> ScoreOptions:
    known = [field.name for field in attrs.fields(ScoreOptions)]
    for name in given:
        if name not in known:
            raise OptionError(f"score has no option {name!r}; it has {', '.join(known)}", option=name)
    options = ScoreOptions(**given)
    if options.language is not None and language_tag(options.language) is None:
        raise OptionError(
            f"language {options.language!r} is not a BCP 47 tag; give one such as 'en' or 'pt-BR'", option="language"
        )
    return options


def _scoring(
    source: str, said: Sequence[Reference], systems: Sequence[MatchedHypotheses], options: ScoreOptions
) -> Scoring:
    profile = get_profile(options.normalizer or profile_for(each.language for each in said))
    systems = [choose_readings(system, partial(_normalized, profile)) for system in systems]
    prepared = prepare_all(profile, systems)
    compared = len(systems) > 1
    units = bootstrap_units(said, options.bootstrap_unit) if compared else None
    wer = (
        compare_wer(prepared, normalizer=profile.normalizer, blocks=units.by_id, resampling=options.resampling)
        if units
        else None
    )
    return Scoring(
        references=source,
        utterances=len(said),
        files=tuple(_scored(system, prepared[system.name], profile) for system in systems),
        unknown_language=0 if options.normalizer else sum(each.language is None for each in said),
        bootstrap_unit=units.unit if units else None,
        wer=wer,
        figures=hypothesis_metrics(systems, profile=profile, prepared=prepared, normalizers=options.normalizers),
        differences=_differences(prepared, profile, options.top_words),
        numpy=installed_version("numpy") or "",
        asrlab=__version__,
    )


def _normalized(profile: Profile, language: str | None, text: str) -> str:
    """Return *text* as *profile* brings it into one spelling; empty where the profile does not score it."""
    pair = next(profile.prepare([TextPair(id="", reference=text, hypothesis="", language=language)]), None)
    return pair.reference if pair else ""


def _scored(system: MatchedHypotheses, pairs: Sequence[TextPair], profile: Profile) -> ScoredFile:
    return ScoredFile(
        name=system.name,
        path=str(system.file.path),
        format=system.file.format,
        score=attrs.evolve(score_pairs(pairs, normalizer=profile.normalizer), normalizers=profile.normalizers(pairs)),
        missing=system.missing,
        extra=system.extra,
    )


def _differences(
    prepared: dict[str, tuple[TextPair, ...]], profile: Profile, top_words: int
) -> tuple[WordDifferences, ...]:
    first, *others = prepared
    return tuple(
        word_differences({first: prepared[first], other: prepared[other]}, normalizer=profile.normalizer, top=top_words)
        for other in others
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """The files' names; their paths where two are called the same."""
    names = [path.name for path in paths]
    told = [str(path) if names.count(path.name) > 1 else path.name for path in paths]
    twice = next((name for name in told if told.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"{twice} was given twice; give each file once", option="hypotheses")
    return told


def _plain_file(each: ScoredFile) -> dict[str, Any]:
    rates = {name: getattr(each.score, name) for name in ("wer", "cer", "mer", "wil")}
    return attrs.asdict(each) | {"score": rates | attrs.asdict(each.score)}
