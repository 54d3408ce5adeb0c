"""Scores of hypothesis files that another program wrote, without running an engine."""

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
from asrlab.evaluation.reports.extra_metrics import RunMetrics, hypothesis_metrics
from asrlab.evaluation.reports.hypothesis_matching import (
    MatchedHypotheses,
    choose_readings,
    load_references,
    match_hypotheses,
)
from asrlab.evaluation.reports.systems import BootstrapUnit, bootstrap_units, prepare_all
from asrlab.languages import language_tag


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


@attrs.frozen(kw_only=True)
class Scoring:
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

    @property
    def missing(self) -> int:
        """Number of missing hypotheses over all files."""
        return sum(len(file.missing) for file in self.files)

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


@attrs.frozen(kw_only=True)
class ScoreOptions:
    """Options of `score`.

    Attributes:
        format: The hypotheses' format; None detects it from the content.
        normalizer: A profile's name; None gives each utterance the profile of its language, ``english`` or ``basic``,
            which also serves for unknown languages.
        language: The language tag of references that do not state their language; None leaves it unknown.
        normalizers: Profiles to score the same texts under, side by side.
        bootstrap_unit: The unit that is resampled where files are compared.
        resampling: Resampling of the comparison. None uses 10,000 resamples, seed 0 and 95 % confidence.
        allow_extra: Leave out hypotheses without a reference, which are an error otherwise.
        top_words: Number of word errors kept for each file.
        allow_external_audio: Accept files of a data set's texts that are links out of its folder. The audio is not
            opened, and may lie anywhere.
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
    """Score files of hypotheses that another program wrote, and compare them if there are several.

    Args:
        hypotheses: One or more files: tables (``utt_id``, ``text``), trn, CTM, or the Open ASR Leaderboard's JSONL.
        references: A trn or STM file, a table with ids and texts, or anything that `load_dataset` accepts. None uses
            the references in the hypothesis files.
        options: See `ScoreOptions`.

    Raises:
        DatasetError: If a file cannot be read, there are no references, or a hypothesis has none.
        OptionError: If an option is unknown or has an invalid value.
    """
    chosen = _parse_options(options)
    paths = [Path(hypotheses)] if isinstance(hypotheses, str | PathLike) else [Path(path) for path in hypotheses]
    if not paths:
        raise OptionError("there is nothing to score; give a file of hypotheses", option="hypotheses")
    files = [read_hypotheses(path, format=chosen.format) for path in paths]
    source, texts = load_references(references, files, allow_external_audio=chosen.allow_external_audio)
    texts = tuple(attrs.evolve(reference, language=reference.language or chosen.language) for reference in texts)
    systems = [
        match_hypotheses(file, texts, name=name, allow_extra=chosen.allow_extra)
        for name, file in zip(_unique_names(paths), files, strict=True)
    ]
    profile = get_profile(chosen.normalizer or profile_for(reference.language for reference in systems[0].utterances))
    systems = [choose_readings(system, partial(_normalize, profile)) for system in systems]
    return _score_systems(source, systems, profile, chosen)


def _parse_options(given: dict[str, Any]) -> ScoreOptions:
    names = [field.name for field in attrs.fields(ScoreOptions)]
    for name in given:
        if name not in names:
            raise OptionError(f"score has no option {name!r}; use {', '.join(names)}", option=name)
    options = ScoreOptions(**given)
    if options.language is not None and language_tag(options.language) is None:
        raise OptionError(
            f"language {options.language!r} is not a BCP 47 tag; give one such as 'en' or 'pt-BR'", option="language"
        )
    return options


def _normalize(profile: Profile, language: str | None, text: str) -> str:
    """Normalize *text* with *profile*; the result is empty if the profile does not score it."""
    pair = next(profile.prepare([TextPair(id="", reference=text, hypothesis="", language=language)]), None)
    return pair.reference if pair else ""


def _score_systems(
    source: str, systems: Sequence[MatchedHypotheses], profile: Profile, options: ScoreOptions
) -> Scoring:
    references, normalizer = systems[0].utterances, profile.normalizer
    texts = {system.name: system.pairs() for system in systems}
    prepared = prepare_all(profile, texts)
    units = wer = None
    if len(systems) > 1:
        units = bootstrap_units(references, options.bootstrap_unit)
        wer = compare_wer(prepared, normalizer=normalizer, blocks=units.by_id, resampling=options.resampling)
    first, *others = prepared
    return Scoring(
        references=source,
        utterances=len(references),
        files=tuple(
            ScoredFile(
                name=system.name,
                path=str(system.file.path),
                format=system.file.format,
                score=attrs.evolve(score_pairs(pairs, normalizer=normalizer), normalizers=profile.normalizers(pairs)),
                missing=system.missing,
                extra=system.extra,
            )
            for system, pairs in zip(systems, prepared.values(), strict=True)
        ),
        unknown_language=0 if options.normalizer else sum(each.language is None for each in references),
        bootstrap_unit=units.unit if units else None,
        wer=wer,
        figures=hypothesis_metrics(
            texts, references, profile=profile, prepared=prepared, normalizers=options.normalizers
        ),
        differences=tuple(
            word_differences(
                {first: prepared[first], other: prepared[other]}, normalizer=normalizer, top=options.top_words
            )
            for other in others
        ),
        numpy=installed_version("numpy") or "",
        asrlab=__version__,
    )


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Return the files' names, or their paths where names are equal."""
    names = [path.name for path in paths]
    unique = [str(path) if names.count(path.name) > 1 else path.name for path in paths]
    twice = next((name for name in unique if unique.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"{twice} was given twice; give each file once", option="hypotheses")
    return unique
