"""Hypotheses beside the references of the same ids."""

from __future__ import annotations

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
from asrlab.evaluation.datasets.dataset import ExternalAudioPolicy
from asrlab.evaluation.datasets.hypotheses import HypothesisFile, TimedWord
from asrlab.evaluation.datasets.references import Reference, from_dataset, from_file
from asrlab.evaluation.metrics import TextPair

_TOLD = 5
_TIME_DIGITS = 6


@attrs.frozen(kw_only=True)
class MatchedHypotheses:
    """A file of hypotheses over the references.

    Attributes:
        name: What it is called.
        file: The file.
        utterances: All references.
        texts: What was written, by the reference's id; none for those that are missing.
        extra: Ids of hypotheses that have no reference.
        readings: By the reference's id reference and hypothesis as they are scored, where a text has several readings.
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
        return tuple(each.id for each in self.utterances if each.id not in self.texts)

    def pairs(self) -> tuple[TextPair, ...]:
        """References and hypotheses; a missing one is empty, so that it counts as deletions."""
        return tuple(self._pair(each) for each in self.utterances)

    def _pair(self, reference: Reference) -> TextPair:
        said, written = self.readings.get(reference.id, (reference.text, self.texts.get(reference.id, "")))
        source = None if reference.alternatives is None else reference.text
        return TextPair(id=reference.id, reference=said, hypothesis=written, language=reference.language, source=source)


def load_references(
    given: str | PathLike[str] | Dataset | None, files: Sequence[HypothesisFile], *, allow_external_audio: bool = False
) -> tuple[str, tuple[Reference, ...]]:
    """Where what was said comes from, and what was said, with the stretches that are not to be scored.

    Args:
        given: A data set or a file of texts; None takes the references of *files* themselves.
        files: The hypotheses.
        allow_external_audio: Accept files of texts that are links out of the data set's folder.

    Raises:
        DatasetError: There are none, or they cannot be read, or two files have different ones for an utterance.
    """
    if given is None:
        return _within(files)
    if isinstance(given, Dataset):
        source, found = given.source, tuple(from_dataset(given))
    else:
        # nothing is opened of the audio, so that it may lie anywhere
        allowed: ExternalAudioPolicy = allow_external_audio or "audio"
        texts = from_file(Path(given), allow_external_audio=allowed)
        read = from_dataset(load_dataset(given, allow_external_audio=allowed)) if texts is None else texts
        source, found = str(given), tuple(read)
    if all(each.is_ignored for each in found):
        raise DatasetError(f"{source} holds no references; give what was said with references (--references)")
    return source, found


def _within(files: Sequence[HypothesisFile]) -> tuple[str, tuple[Reference, ...]]:
    found: dict[str, Reference] = {}
    for file in files:
        for each in file.hypotheses:
            if each.reference is None:
                raise DatasetError(
                    f"{file.path} has no reference for {each.id!r}; give what was said with references (--references)",
                    path=file.path,
                )
            first = found.setdefault(each.id, Reference(id=each.id, text=each.reference, language=each.language))
            if first.text != each.reference:
                raise DatasetError(
                    f"the files do not agree on what was said in {each.id!r}: {first.text[:60]!r} and "
                    f"{each.reference[:60]!r}; give the references with references (--references)",
                    path=file.path,
                )
    if not found:
        raise DatasetError(f"{files[0].path} holds no hypotheses; give a file with some", path=files[0].path)
    return "the hypotheses' own", tuple(found.values())


def match_hypotheses(
    file: HypothesisFile, references: Sequence[Reference], *, name: str, allow_extra: bool
) -> MatchedHypotheses:
    """The hypotheses by the references' ids; the words of a CTM file by their times where the ids are recordings.

    A reference that is not to be scored takes the words in its time with it, and is not in the result.

    Raises:
        DatasetError: A hypothesis has no reference and *allow_extra* is not set, or none has one.
    """
    utterances = tuple(each for each in references if not each.is_ignored)
    ids = {each.id for each in utterances}
    texts = {each.id: each.text for each in file.hypotheses}
    extra = [each for each in texts if each not in ids]
    if extra and file.format == "ctm":
        timed = {each.id: each.words for each in file.hypotheses if each.id not in ids}
        placed, extra = _by_time(timed, references)
        texts |= placed
    if extra and (len(extra) == len(file.hypotheses) or not allow_extra):
        raise _no_reference(file, extra, utterances)
    return MatchedHypotheses(
        name=name,
        file=file,
        utterances=utterances,
        texts={key: text for key, text in texts.items() if key in ids},
        extra=tuple(extra),
    )


def choose_readings(system: MatchedHypotheses, normalize: Callable[[str | None, str], str]) -> MatchedHypotheses:
    """*system* with the readings that are scored, where a reference or a hypothesis allows several.

    Args:
        system: The hypotheses over the references.
        normalize: Brings a text, given after its language, into one spelling.

    Raises:
        DatasetError: An utterance has too many words or readings to compare.
    """
    written = {each.id: each.alternatives for each in system.file.hypotheses if each.alternatives is not None}
    readings: dict[str, tuple[str, str]] = {}
    for each in system.utterances:
        if each.alternatives is None and each.id not in written:
            continue
        hypothesis = written.get(each.id) or system.texts.get(each.id, "")
        own = partial(normalize, each.language)
        try:
            readings[each.id] = nearest_readings(each.alternatives or each.text, hypothesis, normalize=own)
        except ValueError as problem:
            raise DatasetError(
                f"the alternatives of utterance {each.id!r} are too many to try: {problem}; split it into shorter ones",
                path=system.file.path,
            ) from problem
    return attrs.evolve(system, readings=readings)


def _by_time(
    recordings: dict[str, tuple[TimedWord, ...]], references: Sequence[Reference]
) -> tuple[dict[str, str], list[str]]:
    """Each word to a stretch of its recording, and the recordings without one.

    As in sclite the stretches of a recording take words in the order of their starts, each all that are left whose
    middle is before its end: a turn within a longer one leaves the words of the longer one where they are. A word in a
    gap falls to the next stretch, and the last stretch takes the rest.

    Source: NIST SCTK, ``src/sclite/stm2ctm.c``, ``segment_hyp_for_utt``.
    """
    parts: dict[str, list[Reference]] = defaultdict(list)
    for each in references:
        if each.track is not None and each.start is not None:
            parts[each.track].append(each)
    found: dict[str, str] = {}
    for name in [name for name in recordings if name in parts]:
        ordered = sorted(parts[name], key=lambda each: each.start or 0.0)
        words, place = recordings[name], 0
        for each in ordered:
            first = place
            is_last = each is ordered[-1]
            while place < len(words) and (is_last or _is_before_end(words[place], each)):
                place += 1
            if place > first and not each.is_ignored:
                found[each.id] = " ".join(word.text for word in words[first:place])
    return found, [name for name in recordings if name not in parts]


def _is_before_end(word: TimedWord, part: Reference) -> bool:
    return part.end is None or word.middle < round(part.end, _TIME_DIGITS)


def _no_reference(file: HypothesisFile, extra: Sequence[str], references: Sequence[Reference]) -> DatasetError:
    told = ", ".join(map(repr, extra[:_TOLD])) + (" ..." if len(extra) > _TOLD else "")
    if len(extra) == len(file.hypotheses):
        hint = f"none has one; the references have ids such as {references[0].id!r}"
    else:
        hint = "leave them out with allow_extra=True (--allow-extra), or mend the ids"
    return DatasetError(
        f"{len(extra)} of the {len(file.hypotheses)} hypotheses in {file.path} have no reference: {told}; {hint}",
        path=file.path,
    )
