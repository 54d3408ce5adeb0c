"""Hypotheses matched with the references of the same ids."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.alternatives import nearest_readings
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.datasets import Dataset
from asrlab.evaluation.datasets.dataset import ExternalAudioPolicy, Reference
from asrlab.evaluation.datasets.hypotheses import HypothesisFile, TimedWord, list_references, read_references
from asrlab.evaluation.metrics import TextPair

_CURE = "give the reference texts with references (--references)"
_MAX_LISTED_IDS = 5
_MAX_QUOTED = 60
_TIME_DIGITS = 6


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

    @property
    def missing(self) -> tuple[str, ...]:
        """The ids of references without a hypothesis."""
        return tuple(reference.id for reference in self.utterances if reference.id not in self.texts)

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

    Args:
        source: A data set or a file of texts; None takes the references in *files*, the hypotheses.
        files: The hypotheses.
        allow_external_audio: Accept files of texts that are links out of the data set's folder.

    Raises:
        DatasetError: If there are no references, they cannot be read, or two files disagree on a reference.
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

    A reference that is not to be scored takes the words in its time, and is not in the result.

    Raises:
        DatasetError: If a hypothesis has no reference and *allow_extra* is not set, or no hypothesis has one.
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
    """Choose the readings to score where a reference or a hypothesis has alternatives.

    *normalize* takes a language and a text.

    Raises:
        DatasetError: If an utterance has too many words or alternatives to compare.
    """
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
            raise DatasetError(
                f"utterance {reference.id!r} has too many alternatives: {error}; split it into shorter utterances",
                path=system.file.path,
            ) from error
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
