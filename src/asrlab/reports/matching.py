"""Hypotheses beside the references of the same ids."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import attrs

from asrlab.datasets import Dataset
from asrlab.datasets.hypotheses import HypothesisFile, TimedWord
from asrlab.datasets.references import Reference, of_dataset, of_file
from asrlab.errors import DatasetError
from asrlab.loading import load_dataset
from asrlab.metrics import Pair

__all__ = ["Matched", "matched", "references_for"]

_TOLD = 5


@attrs.frozen(kw_only=True)
class Matched:
    """A file of hypotheses over the references.

    Attributes:
        name: What it is called.
        file: The file.
        utterances: All references.
        texts: What was written, by the reference's id; none for those that are missing.
        extra: Ids of hypotheses that have no reference.
    """

    name: str
    file: HypothesisFile
    utterances: Sequence[Reference] = attrs.field(repr=False)
    texts: dict[str, str] = attrs.field(repr=False)
    extra: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The ids of references without a hypothesis."""
        return tuple(each.id for each in self.utterances if each.id not in self.texts)

    def pairs(self) -> tuple[Pair, ...]:
        """References and hypotheses; a missing one is empty, so that it counts as deletions."""
        return tuple(
            Pair(id=each.id, reference=each.text, hypothesis=self.texts.get(each.id, ""), language=each.language)
            for each in self.utterances
        )


def references_for(
    given: str | PathLike[str] | Dataset | None, files: Sequence[HypothesisFile]
) -> tuple[str, tuple[Reference, ...]]:
    """Where what was said comes from, and what was said.

    Raises:
        DatasetError: There are none, or they cannot be read, or two files have different ones for an utterance.
    """
    if given is None:
        return _within(files)
    if isinstance(given, Dataset):
        source, found = given.source, tuple(of_dataset(given))
    else:
        texts = of_file(Path(given))
        # nothing is opened of the audio, so that it may lie anywhere
        read = of_dataset(load_dataset(given, allow_outside=True)) if texts is None else texts
        source, found = str(given), tuple(read)
    if not found:
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


def matched(file: HypothesisFile, references: Sequence[Reference], *, name: str, allow_extra: bool) -> Matched:
    """The hypotheses by the references' ids; the words of a CTM file by their times where the ids are recordings.

    Raises:
        DatasetError: A hypothesis has no reference and *allow_extra* is not set, or none has one.
    """
    ids = {each.id for each in references}
    texts = {each.id: each.text for each in file.hypotheses}
    extra = [each for each in texts if each not in ids]
    if extra and file.format == "ctm":
        timed = {each.id: each.words for each in file.hypotheses if each.id not in ids}
        placed, extra = _by_time(timed, references)
        texts |= placed
    if extra and (len(extra) == len(file.hypotheses) or not allow_extra):
        raise _no_reference(file, extra, references)
    return Matched(
        name=name,
        file=file,
        utterances=references,
        texts={key: text for key, text in texts.items() if key in ids},
        extra=tuple(extra),
    )


def _by_time(
    recordings: dict[str, tuple[TimedWord, ...]], references: Sequence[Reference]
) -> tuple[dict[str, str], list[str]]:
    """Each word to the stretch of its recording that its middle is in, or that ends last before it; and the rest."""
    parts: dict[str, list[Reference]] = defaultdict(list)
    for each in references:
        if each.recording is not None and each.start is not None:
            parts[each.recording].append(each)
    found: dict[str, list[str]] = defaultdict(list)
    for name in [name for name in recordings if name in parts]:
        ordered = sorted(parts[name], key=lambda each: each.start or 0.0)
        starts = [each.start or 0.0 for each in ordered]
        found |= {each.id: [] for each in ordered}
        for word in recordings[name]:
            place = max(bisect_right(starts, word.middle) - 1, 0)
            found[ordered[place].id].append(word.text)
    texts = {key: " ".join(words) for key, words in found.items() if words}
    return texts, [name for name in recordings if name not in parts]


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
