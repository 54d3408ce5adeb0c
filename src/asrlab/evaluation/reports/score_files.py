"""Scores of hypothesis files that another program wrote, matched with references, without running an engine."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from asrlab._version import __version__
from asrlab.environment import installed_version
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.alternatives import nearest_readings
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.datasets import Dataset
from asrlab.evaluation.datasets.dataset import ExternalAudioPolicy, Reference
from asrlab.evaluation.datasets.hypotheses import (
    HypothesisFile,
    TimedWord,
    list_references,
    read_hypotheses,
    read_references,
)
from asrlab.evaluation.metrics import (
    Profile,
    Resampling,
    TextPair,
    compare_wer,
    get_profile,
    profile_for,
    score as score_pairs,
    word_differences,
)
from asrlab.evaluation.reports.extra_metrics import hypothesis_metrics
from asrlab.evaluation.reports.scoring import ScoredFile, Scoring
from asrlab.evaluation.reports.systems import BootstrapUnit, bootstrap_units, prepare_all
from asrlab.languages import language_tag

_CURE = "give the reference texts with references (--references)"
_MAX_LISTED_IDS = 5
_MAX_QUOTED = 60
_TIME_DIGITS = 6


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
                missing=tuple(each.id for each in references if each.id not in system.texts),
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
    if twice := [name for name in unique if unique.count(name) > 1]:
        raise OptionError(f"{twice[0]} was given twice; give each file once", option="hypotheses")
    return unique


@attrs.frozen(kw_only=True)
class MatchedHypotheses:
    """A file of hypotheses matched with all references that are scored.

    Attributes:
        texts: The hypotheses by the reference's id, without missing ones.
        extra: The ids of hypotheses without a reference.
        readings: By the reference's id, the reference and hypothesis to score if a text has alternatives.
    """

    name: str
    file: HypothesisFile
    utterances: Sequence[Reference] = attrs.field(repr=False)
    texts: dict[str, str] = attrs.field(repr=False)
    extra: tuple[str, ...] = ()
    readings: dict[str, tuple[str, str]] = attrs.field(factory=dict, repr=False)

    def pairs(self) -> tuple[TextPair, ...]:
        """Return references and hypotheses; a missing hypothesis is empty, so that it counts as deletions."""
        pairs = []
        for each in self.utterances:
            reference, hypothesis = self.readings.get(each.id, (each.text, self.texts.get(each.id, "")))
            source = None if each.alternatives is None else each.text
            pairs.append(
                TextPair(id=each.id, reference=reference, hypothesis=hypothesis, language=each.language, source=source)
            )
        return tuple(pairs)


def load_references(
    source: str | PathLike[str] | Dataset | None, files: Sequence[HypothesisFile], *, allow_external_audio: bool = False
) -> tuple[str, tuple[Reference, ...]]:
    """Return the name of the source of references, and the references, those that are not to be scored included.

    Without *source*, these are the references in *files*. External audio is that of links out of a data set's folder.
    """
    if source is None:
        return _references_in(files)
    if isinstance(source, Dataset):
        name, references = source.source, tuple(list_references(source))
    else:
        # The audio is not opened, so it may lie anywhere.
        policy: ExternalAudioPolicy = allow_external_audio or "audio"
        texts = read_references(Path(source), allow_external_audio=policy)
        if texts is None:
            texts = list_references(load_dataset(source, allow_external_audio=policy))
        name, references = str(source), tuple(texts)
    if all(reference.is_ignored for reference in references):
        raise DatasetError(f"{name} holds no references; {_CURE}")
    return name, references


def _references_in(files: Sequence[HypothesisFile]) -> tuple[str, tuple[Reference, ...]]:
    references: dict[str, Reference] = {}
    for path, each in ((file.path, hypothesis) for file in files for hypothesis in file.hypotheses):
        if each.reference is None:
            raise DatasetError(f"{path} has no reference for {each.id!r}; {_CURE}", path=path)
        first = references.setdefault(each.id, Reference(id=each.id, text=each.reference, language=each.language))
        if first.text != each.reference:
            texts = f"{first.text[:_MAX_QUOTED]!r} and {each.reference[:_MAX_QUOTED]!r}"
            message = f"the files have different references for {each.id!r}: {texts}; {_CURE}"
            raise DatasetError(message, path=path)
    if not references:
        raise DatasetError(f"{files[0].path} holds no hypotheses; give a file with some", path=files[0].path)
    return "the hypotheses' own", tuple(references.values())


def match_hypotheses(
    file: HypothesisFile, references: Sequence[Reference], *, name: str, allow_extra: bool
) -> MatchedHypotheses:
    """Match hypotheses with references by id; words of a CTM file by time if the ids are recordings.

    A reference that is not to be scored takes the words in its time, and is not in the result. Without *allow_extra*, a
    hypothesis without a reference is a DatasetError, as are hypotheses of which none has one.
    """
    utterances = tuple(reference for reference in references if not reference.is_ignored)
    ids = {reference.id for reference in utterances}
    texts = {hypothesis.id: hypothesis.text for hypothesis in file.hypotheses}
    extra = [key for key in texts if key not in ids]
    if extra and file.format == "ctm":
        timed = {hypothesis.id: hypothesis.words for hypothesis in file.hypotheses if hypothesis.id not in ids}
        matched, extra = _match_by_time(timed, references)
        texts |= matched
    has_none = len(extra) == len(file.hypotheses)
    if extra and (has_none or not allow_extra):
        listed = ", ".join(map(repr, extra[:_MAX_LISTED_IDS])) + (" ..." if len(extra) > _MAX_LISTED_IDS else "")
        hint = "leave them out with allow_extra=True (--allow-extra), or correct the ids"
        if has_none:
            hint = f"none has one; the references have ids such as {utterances[0].id!r}"
        raise DatasetError(
            f"{len(extra)} of the {len(file.hypotheses)} hypotheses in {file.path} have no reference: {listed}; {hint}",
            path=file.path,
        )
    return MatchedHypotheses(
        name=name,
        file=file,
        utterances=utterances,
        texts={key: text for key, text in texts.items() if key in ids},
        extra=tuple(extra),
    )


def choose_readings(system: MatchedHypotheses, normalize: Callable[[str | None, str], str]) -> MatchedHypotheses:
    """Choose the readings to score where a reference or a hypothesis has alternatives; DatasetError if too many."""
    alternatives = {each.id: each.alternatives for each in system.file.hypotheses if each.alternatives is not None}
    readings: dict[str, tuple[str, str]] = {}
    for reference in system.utterances:
        if reference.alternatives is None and reference.id not in alternatives:
            continue
        hypothesis = alternatives.get(reference.id) or system.texts.get(reference.id, "")
        try:
            readings[reference.id] = nearest_readings(
                reference.alternatives or reference.text, hypothesis, normalize=partial(normalize, reference.language)
            )
        except ValueError as error:
            message = f"utterance {reference.id!r} has too many alternatives: {error}; split it into shorter utterances"
            raise DatasetError(message, path=system.file.path) from error
    return attrs.evolve(system, readings=readings)


def _match_by_time(
    recordings: dict[str, tuple[TimedWord, ...]], references: Sequence[Reference]
) -> tuple[dict[str, str], list[str]]:
    """Match each word with a segment of its recording; return the texts and the recordings without segments.

    As in sclite, the segments of a recording take words in the order of their starts, each all remaining words whose
    middle is before the segment's end: a turn within a longer one leaves the words of the longer one where they are. A
    word in a gap falls to the next segment, and the last segment takes the rest.

    Source: NIST SCTK, ``src/sclite/stm2ctm.c``, ``segment_hyp_for_utt``.
    """
    segments: dict[str, list[Reference]] = defaultdict(list)
    for reference in references:
        if reference.track is not None and reference.start is not None:
            segments[reference.track].append(reference)
    texts: dict[str, str] = {}
    for name, words in recordings.items():
        index = 0
        ordered = sorted(segments.get(name, ()), key=lambda segment: segment.start or 0.0)
        for segment in ordered:
            first, end = index, None if segment is ordered[-1] else segment.end
            limit = math.inf if end is None else round(end, _TIME_DIGITS)
            while index < len(words) and words[index].middle < limit:
                index += 1
            if index > first and not segment.is_ignored:
                texts[segment.id] = " ".join(word.text for word in words[first:index])
    return texts, [name for name in recordings if name not in segments]
