"""Figures and words about models and speed that no record backs, in what a document says by itself."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import attrs

from asrlab.evaluation.claims import vocabulary as words
from asrlab.evaluation.claims.documents import MarkdownDocument, Waiver
from asrlab.evaluation.claims.evidence import Evidence
from asrlab.evaluation.claims.figures import find_figure
from asrlab.evaluation.claims.markup import HIDDEN, TextBlock
from asrlab.evaluation.claims.support_status import DEVICES, STATUSES, Status, SupportMatrix

_END = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)[.!?]['\")\]]*\s+(?=\S)")
_CLAUSE = re.compile(r"[;:—(]|,\s*(?:but|and|while|so)\b|\b(?:but|though|although|while)\b")
_RELATIVE = re.compile(
    r"(?:\b(?:an?|any|each|every|whatever|the one|the first)\s+(?:\w+\s+){1,2}(?:that|which)"
    r"|(?<!,)(?:^|\s)(?:what|which))\s+$",
    re.IGNORECASE,
)
_GAP = re.compile(r"(?<=\D) ")
# Every rule reads what stands around each match, so that the time a sentence takes grows with the square of its length.
_MAX_SENTENCE = 1000
_MAX_BEFORE = 2000
_MAX_DEMAND = 100
_IN_CODE: tuple[Status, ...] = ("working",)


@attrs.frozen(kw_only=True)
class LintFinding:
    """Something that a document says and no record does.

    Attributes:
        kind: ``figure``, ``comparison`` or ``status``.
        offset: Where it stands in the source.
        text: The words.
        message: What is wrong.
        cure: What to do.
    """

    kind: Literal["figure", "comparison", "status"]
    offset: int
    text: str
    message: str
    cure: str


@attrs.frozen(kw_only=True)
class _Sentence:
    """A sentence, or all of a cell.

    Attributes:
        passage: Where it stands.
        start: Its first character there.
        end: The one behind its last.
        lead: Of a later part of a long sentence, where the sentence's first part begins and ends in the passage.
    """

    passage: TextBlock
    start: int
    end: int
    lead: tuple[int, int] = (0, 0)

    @cached_property
    def text(self) -> str:
        return self.passage.text[self.start : self.end]

    @cached_property
    def prose(self) -> str:
        return self.passage.prose[self.start : self.end]

    @cached_property
    def around(self) -> str:
        """With the row and column that it stands in, and the sentence's first part."""
        return f"{self.passage.column} {self.passage.row} {self.passage.text[slice(*self.lead)]}{self.text}"

    def clause(self, at: int) -> tuple[str, str]:
        """What the clause has before and from the character *at* of the sentence on."""
        starts, ends = self._boundaries
        before = bisect_right(ends, at)  # what ends at or before it
        start = ends[before - 1] if before else 0
        after = bisect_right(starts, at)
        end = starts[after] if after < len(starts) else len(self.text)
        return ("" if before else self._lead_clause) + self.text[start:at], self.text[at:end]

    @cached_property
    def _lead_clause(self) -> str:
        """The last clause of the sentence's first part, which may go on in this one."""
        return _CLAUSE.split(self.passage.text[slice(*self.lead)])[-1]

    @cached_property
    def _boundaries(self) -> tuple[list[int], list[int]]:
        """Where what separates clauses begins, and where it ends."""
        found = list(_CLAUSE.finditer(self.text))
        return [match.start() for match in found], [match.end() for match in found]

    def flag(
        self, kind: Literal["figure", "comparison", "status"], match: re.Match[str], told: tuple[str, str]
    ) -> LintFinding:
        offset = self.passage.offsets[self.start + match.start()]
        return LintFinding(kind=kind, offset=offset, text=match[0].strip(), message=told[0], cure=told[1])


def lint_document(document: MarkdownDocument, evidence: Evidence, board: SupportMatrix) -> Iterator[LintFinding]:
    """What *document* says that no record does, in order; figures that its author answers for are noted there.

    Args:
        document: The document; its allowances take note of what they cover.
        evidence: The records.
        board: What may be said of each model.
    """
    judge = _Linter(evidence=evidence, board=board, names=words.Names.of(board))
    for passage in document.passages:
        for flag in sorted(judge.flags(passage), key=lambda flag: flag.offset):
            allowance = _allowed(document, passage) if flag.kind == "figure" else None
            if allowance is None:
                yield flag
            else:
                allowance.covers.append(flag.text)


def _allowed(document: MarkdownDocument, passage: TextBlock) -> Waiver | None:
    first, end = passage.lines
    return next((each for each in document.allowances if each.lines[0] <= first and end <= each.lines[1]), None)


def _sentences(passage: TextBlock) -> Iterator[_Sentence]:
    """The sentences; one of more than a thousand characters in parts, cut at white space."""
    start = 0
    for end in (*(boundary.end() for boundary in _END.finditer(passage.text)), len(passage.text)):
        lead = (0, 0)
        while end - start > _MAX_SENTENCE:
            cut = _cut(passage.text, start)
            yield _Sentence(passage=passage, start=start, end=cut, lead=lead)
            lead = lead if lead[1] else (start, cut)
            start = cut
        yield _Sentence(passage=passage, start=start, end=end, lead=lead)
        start = end


def _cut(text: str, start: int) -> int:
    """Where the part of a long sentence that begins at *start* ends: at a space, but not behind a figure's digits."""
    most = start + _MAX_SENTENCE
    spaces = [match.end() for match in _GAP.finditer(text, start + _MAX_SENTENCE // 2, most)]
    return spaces[-1] if spaces else most


@attrs.frozen(kw_only=True)
class _Linter:
    """The rules, over what there is in records."""

    evidence: Evidence
    board: SupportMatrix
    names: words.Names

    def flags(self, passage: TextBlock) -> Iterator[LintFinding]:
        for sentence in _sentences(passage):
            taken: list[tuple[int, int]] = []
            for flag, match in self._of(sentence):
                if not any(match.start() < end and start < match.end() for start, end in taken):
                    taken.append(match.span())
                    yield flag
        yield from self._mark(passage)

    def _of(self, sentence: _Sentence) -> Iterator[tuple[LintFinding, re.Match[str]]]:
        rules = (self._praise, self._device_claims, self._comparisons, self._figures, self._model_claims)
        for rule in rules:
            yield from rule(sentence)

    # figures

    def _figures(self, sentence: _Sentence) -> Iterator[tuple[LintFinding, re.Match[str]]]:
        for shape, pattern in words.FIGURES.items():
            for match in pattern.finditer(sentence.prose):
                if HIDDEN not in match[0] and _tells(shape, match, sentence):
                    yield sentence.flag("figure", match, self._figure_told(match[0])), match

    def _figure_told(self, text: str) -> tuple[str, str]:
        marker = find_figure(text, self.evidence) or "record=FILE model=MODEL figure=NAME"
        cure = f"write <!-- asrlab:figure {marker} -->{text.strip()}<!-- asrlab:end -->, or take it out"
        return "a figure that is tied to no record", cure

    # comparisons

    def _comparisons(self, sentence: _Sentence) -> Iterator[tuple[LintFinding, re.Match[str]]]:
        if words.MEANING.search(sentence.around):
            return
        for match in words.COMPARED.finditer(sentence.prose):
            named = words.TOPIC.search(sentence.around) or self._subjects(sentence)
            if named and not words.NOT_SAYING.search(sentence.clause(match.start())[0]):
                told = "one is said to be ahead of another, which no record backs"
                yield (
                    sentence.flag("comparison", match, (told, "give both figures, tied to records, or take it out")),
                    match,
                )

    # statuses

    def _praise(self, sentence: _Sentence) -> Iterator[tuple[LintFinding, re.Match[str]]]:
        for match in words.PRAISE.finditer(sentence.prose):
            if not _taken_back(sentence, match):
                yield sentence.flag("status", match, ("no record says so much", "take it out")), match

    def _device_claims(self, sentence: _Sentence) -> Iterator[tuple[LintFinding, re.Match[str]]]:
        for match in words.DEVICE_CLAIMS.finditer(sentence.text):
            devices = words.devices_in(_rest_of_list(sentence.text, match))
            if not _taken_back(sentence, match) and not self._backed(sentence, match.start(), devices):
                yield sentence.flag("status", match, self._status_told(sentence, devices)), match

    def _model_claims(self, sentence: _Sentence) -> Iterator[tuple[LintFinding, re.Match[str]]]:
        found = [*words.MODEL_CLAIMS.finditer(sentence.prose), *self._statuses_in_code(sentence)]
        named = found and self.names.subjects_in(sentence.text, sentence.prose)
        if not named or words.SIZE.search(sentence.text) or words.MEANING.search(sentence.text):
            return
        for match in found:
            devices = words.devices_in(sentence.text)
            if not _taken_back(sentence, match) and not self._backed(sentence, match.start(), devices):
                yield sentence.flag("status", match, self._status_told(sentence, devices)), match

    def _statuses_in_code(self, sentence: _Sentence) -> list[re.Match[str]]:
        """`working` as a status counts where a device is named too."""
        found = re.finditer(rf"\b(?:{'|'.join(_IN_CODE)})\b", sentence.text)
        return [
            each for each in found if words.devices_in(sentence.text) and HIDDEN in sentence.prose[slice(*each.span())]
        ]

    def _mark(self, passage: TextBlock) -> Iterator[LintFinding]:
        """A cell that says in one word that something works."""
        whole = re.search(r"\S.*\S|\S", passage.text)
        if not passage.column or whole is None or not words.MARKS.fullmatch(whole[0]):
            return
        sentence = _Sentence(passage=passage, start=0, end=len(passage.text))
        devices = words.devices_in(passage.column) or words.devices_in(passage.row)
        subjects = self.names.subjects_in(passage.row, passage.row)
        if devices and subjects and not self._holds(subjects, devices, ("working",)):
            yield sentence.flag("status", whole, self._status_told(sentence, devices))

    def _backed(self, sentence: _Sentence, at: int, devices: tuple[str, ...]) -> bool:
        """Whether the records say it, of all that is named, on all devices that are named."""
        ahead, rest = sentence.clause(at)
        clause = ahead + rest
        wanted: tuple[Status, ...] = ("working",)
        if "simulat" in clause.lower():
            wanted = ("working", "simulated")
        if re.search(r"random|tiny", clause, re.IGNORECASE):
            wanted = (*wanted, "random-weights")
        subjects = self._subjects(sentence)
        if words.EVERY.search(sentence.text):
            subjects = tuple(
                words.Subject(name=spec.name, models=self.board.of_engine(spec.name)) for spec in self.board.engines
            )
        if re.match(r"ran\b", rest):  # what is past is told by any record, what goes on is not
            return all(self.board.ran(each.models, devices) for each in subjects or (_anything(self.board),))
        return self._holds(subjects, devices, wanted)

    def _holds(self, subjects: tuple[words.Subject, ...], devices: tuple[str, ...], wanted: tuple[Status, ...]) -> bool:
        if not devices:  # on some device
            return all(any(self.board.has(each.models, [device], wanted) for device in DEVICES) for each in subjects)
        return all(self.board.has(each.models, devices, wanted) for each in subjects or (_anything(self.board),))

    def _subjects(self, sentence: _Sentence) -> tuple[words.Subject, ...]:
        """Whom a sentence is of: whom it names, or the ones before it do, or the heading."""
        passage = sentence.passage
        before = max(sentence.start - _MAX_BEFORE, 0)
        for text, prose in (
            (sentence.text, sentence.prose),
            (passage.text[before : sentence.start], passage.prose[before : sentence.start]),
            (passage.text[slice(*sentence.lead)], passage.prose[slice(*sentence.lead)]),
            (passage.row, passage.row),
            (passage.heading, passage.heading),
        ):
            if found := self.names.subjects_in(text, prose):
                return found
        return ()

    def _status_told(self, sentence: _Sentence, devices: tuple[str, ...]) -> tuple[str, str]:
        said = [
            f"{model} on {device} is {' + '.join(self.board.cells[model, device].statuses)}"
            for subject in self._subjects(sentence)
            for model in _best_known(subject, self.board)
            for device in devices or DEVICES
        ]
        said = list(dict.fromkeys(said))
        told = f"no record backs it ({'; '.join(said)})" if said else "no record backs it"
        return told, "take it out, or commit a record that makes it `working` and let the block 'status' say it"


def _anything(board: SupportMatrix) -> words.Subject:
    """Whom a sentence is of that names nobody."""
    return words.Subject(name="", models=board.models)


def _best_known(subject: words.Subject, board: SupportMatrix) -> tuple[str, ...]:
    """The one of its models that the records tell most of."""
    defaults = {board.default_of(spec) for spec in board.engines}
    return tuple(sorted(subject.models, key=lambda model: model not in defaults)[:1])


def _taken_back(sentence: _Sentence, match: re.Match[str]) -> bool:
    """Whether the clause denies it, leaves it open, or only says of which things it speaks."""
    ahead, rest = sentence.clause(match.start())
    later = re.search(
        r"\b(?:unproven|unverified|unknown|(?:not|never) (?:yet )?(?:known|proven|recorded|verified|tested|shown))\b",
        rest,
    )
    inside = re.search(r"\b(?:only|not|never)\b", match[0])
    return bool(words.AGAINST.search(ahead) or later or inside or _RELATIVE.search(ahead) or _names_status(ahead))


def _names_status(ahead: str) -> bool:
    """Whether what follows is a word that is spoken of: what a legend does."""
    return bool(
        re.search(r"\b(?:status(?:es)?|called|the words?)\s+\W?$", ahead) and not any(s in ahead for s in STATUSES)
    )


def _rest_of_list(text: str, match: re.Match[str]) -> str:
    """The match with the devices that follow in the same list: ``on cpu, mps and cuda``."""
    further = rf"(?:(?:,|,? and|,? or)\s+(?:the |an? )?{words.DEVICE}(?![\w-]*\w))*"
    more = re.match(further, text[match.end() :], re.IGNORECASE)
    return match[0] + (more[0] if more else "")


def _tells(shape: str, match: re.Match[str], sentence: _Sentence) -> bool:
    """Whether a figure is one of a model or of speed that was measured."""
    around, clause = sentence.around, "".join(sentence.clause(match.start()))
    demanded = words.THRESHOLD.search(sentence.text[max(match.start() - _MAX_DEMAND, 0) : match.start()])
    match shape:
        case "percent":
            told = words.TOPIC.search(around) or words.TOPIC.search(sentence.passage.heading)
            return bool(told) and not re.search(r"\b(?:interval|resampl\w+|confidence)\b", around)
        case "seconds":
            column = sentence.passage.column
            if words.SPENT.search(sentence.clause(match.start())[0]):
                return True
            timed = words.TIMING.search(clause) or words.TIMING.search(column)
            return bool(timed) and not (words.AUDIO_LENGTH.search(clause) and not words.TIMING.search(column))
        case "memory":
            held = words.MEMORY.search(around)
            return bool(held or (words.TOPIC.search(around) and not words.SIZE.search(around)))
        case "count":
            return not demanded and bool(words.TOPIC.search(around))
    return True
