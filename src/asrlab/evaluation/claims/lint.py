"""The linter of documents: figures and claims about models and speed that no record backs."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal

import attrs

from asrlab.evaluation.claims import vocabulary
from asrlab.evaluation.claims.blocks import find_figure
from asrlab.evaluation.claims.documents import MarkdownDocument
from asrlab.evaluation.claims.evidence import DEVICES, STATUSES, Evidence, Status, SupportMatrix
from asrlab.evaluation.claims.markup import HIDDEN, TextBlock
from asrlab.evaluation.claims.vocabulary import Mentions, NameIndex

_SENTENCE_END = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)[.!?]['\")\]]*\s+(?=\S)")
_CLAUSE_BOUNDARY = re.compile(r"[;:—(]|,\s*(?:but|and|while|so)\b|\b(?:but|though|although|while)\b")
_RELATIVE = re.compile(
    r"(?:\b(?:an?|any|each|every|whatever|the one|the first)\s+(?:\w+\s+){1,2}(?:that|which)"
    r"|(?<!,)(?:^|\s)(?:what|which))\s+$",
    re.IGNORECASE,
)
_GAP = re.compile(r"(?<=\D) ")
# Each rule reads the text around each match, so a sentence takes time that grows with the square of its length.
_MAX_SENTENCE_CHARS = 1000
_MAX_CONTEXT_CHARS = 2000
_MAX_LIMIT_CHARS = 100
_UNPROVEN = re.compile(
    r"\b(?:unproven|unverified|unknown|(?:not|never) (?:yet )?(?:known|proven|recorded|verified|tested|shown))\b"
)
_WORKING = re.compile(r"\bworking\b")
_TERM = re.compile(r"\b(?:status(?:es)?|called|the words?)\s+\W?$")

type Kind = Literal["differs", "figure", "comparison", "status"]
type _Match = re.Match[str]


@attrs.frozen(kw_only=True)
class LintFinding:
    """A part of a document that contradicts the records, or that no record backs.

    Attributes:
        kind: ``differs`` for generated text that is out of date; ``figure``, ``comparison`` or ``status`` for text that
            no record backs.
        path: The document.
        line: The line, counted from 1.
        column: The column, counted from 1.
        text: The text.
        message: The problem.
        cure: The action to take.
        diff: For ``differs``: the change from the present text to the generated text, as a unified diff.
    """

    kind: Kind
    path: Path
    line: int
    column: int
    text: str
    message: str
    cure: str
    diff: str = ""

    def __str__(self) -> str:
        """Return one line in the format of compilers' errors, followed by the diff."""
        line = f"{self.path}:{self.line}:{self.column}: {self.kind}: {self.text!r}: {self.message}; {self.cure}"
        return f"{line}\n{self.diff}" if self.diff else line


@attrs.frozen(kw_only=True)
class _Sentence:
    """A sentence, a part of a long sentence, or a whole table cell.

    A later part of a long sentence has the (start, end) offsets of the sentence's first part as its *lead*.
    """

    block: TextBlock
    start: int
    end: int
    lead: tuple[int, int] = (0, 0)

    @cached_property
    def text(self) -> str:
        return self.block.text[self.start : self.end]

    @cached_property
    def prose(self) -> str:
        return self.block.prose[self.start : self.end]

    @cached_property
    def context(self) -> str:
        """The sentence with its table row and column, and the first part of a long sentence."""
        return f"{self.block.column} {self.block.row} {self.block.text[slice(*self.lead)]}{self.text}"

    def clause(self, index: int) -> tuple[str, str]:
        """Return the clause around the character *index*: the text before it, and the text from it on."""
        starts, ends = self._boundaries
        before = bisect_right(ends, index)
        start = ends[before - 1] if before else 0
        after = bisect_right(starts, index)
        end = starts[after] if after < len(starts) else len(self.text)
        return ("" if before else self._lead_clause) + self.text[start:index], self.text[index:end]

    @cached_property
    def _lead_clause(self) -> str:
        return _CLAUSE_BOUNDARY.split(self.block.text[slice(*self.lead)])[-1]

    @cached_property
    def _boundaries(self) -> tuple[list[int], list[int]]:
        matches = list(_CLAUSE_BOUNDARY.finditer(self.text))
        return [match.start() for match in matches], [match.end() for match in matches]


@attrs.frozen
class _Problem:
    """A match of a rule in a sentence, with what is wrong and what to do."""

    kind: Kind
    sentence: _Sentence
    match: _Match
    message: str
    cure: str

    @property
    def offset(self) -> int:
        return self.sentence.block.offsets[self.sentence.start + self.match.start()]


def lint_document(document: MarkdownDocument, evidence: Evidence, support: SupportMatrix) -> Iterator[LintFinding]:
    """Yield the claims in *document* that no record backs, in order. Its waivers collect the figures they cover."""
    linter = _Linter(evidence=evidence, support=support, names=NameIndex.build(support))
    for block in document.blocks:
        first, end = block.lines
        waivers = [waiver for waiver in document.waivers if waiver.lines[0] <= first and end <= waiver.lines[1]]
        for problem in sorted(linter.lint_block(block), key=lambda problem: problem.offset):
            text = problem.match[0].strip()
            if waivers and problem.kind == "figure":
                waivers[0].figures.append(text)
                continue
            line, column = document.source.position(problem.offset)
            yield LintFinding(
                kind=problem.kind,
                path=document.path,
                line=line,
                column=column,
                text=" ".join(text.split()),
                message=problem.message,
                cure=problem.cure,
            )


def _split_sentences(block: TextBlock) -> Iterator[_Sentence]:
    """Yield the sentences of *block*; one of over 1,000 characters is split at white space."""
    start = 0
    for end in (*(boundary.end() for boundary in _SENTENCE_END.finditer(block.text)), len(block.text)):
        lead = (0, 0)
        while end - start > _MAX_SENTENCE_CHARS:
            # At a space, but not after a digit.
            limit = start + _MAX_SENTENCE_CHARS
            gaps = [match.end() for match in _GAP.finditer(block.text, start + _MAX_SENTENCE_CHARS // 2, limit)]
            cut = gaps[-1] if gaps else limit
            yield _Sentence(block=block, start=start, end=cut, lead=lead)
            lead = lead if lead[1] else (start, cut)
            start = cut
        yield _Sentence(block=block, start=start, end=end, lead=lead)
        start = end


@attrs.frozen(kw_only=True)
class _Linter:
    """The rules, applied with the records."""

    evidence: Evidence
    support: SupportMatrix
    names: NameIndex

    def lint_block(self, block: TextBlock) -> Iterator[_Problem]:
        rules = (self._praise, self._device_claims, self._comparisons, self._figures, self._model_claims)
        for sentence in _split_sentences(block):
            flagged: list[tuple[int, int]] = []
            for rule in rules:
                for problem in rule(sentence):
                    first, last = problem.match.span()
                    if not any(first < end and start < last for start, end in flagged):
                        flagged.append((first, last))
                        yield problem
        yield from self._check_marks(block)

    def _figures(self, sentence: _Sentence) -> Iterator[_Problem]:
        for kind, pattern in vocabulary.FIGURES.items():
            for match in pattern.finditer(sentence.prose):
                if HIDDEN not in match[0] and _is_measurement(kind, match, sentence):
                    marker = find_figure(match[0], self.evidence) or "record=FILE model=MODEL figure=NAME"
                    generated = f"<!-- asrlab:figure {marker} -->{match[0].strip()}<!-- asrlab:end -->"
                    cure = f"write {generated}, or remove the figure"
                    yield _Problem("figure", sentence, match, "no record backs this figure", cure)

    def _comparisons(self, sentence: _Sentence) -> Iterator[_Problem]:
        if vocabulary.DEFINITION.search(sentence.context):
            return
        for match in vocabulary.COMPARISONS.finditer(sentence.prose):
            is_relevant = vocabulary.TOPIC.search(sentence.context) or self._find_mentions(sentence)
            if is_relevant and not vocabulary.DENIED_COMPARISON.search(sentence.clause(match.start())[0]):
                cure = "give both figures with markers, or remove the comparison"
                yield _Problem("comparison", sentence, match, "no record backs this comparison", cure)

    def _praise(self, sentence: _Sentence) -> Iterator[_Problem]:
        for match in vocabulary.PRAISE.finditer(sentence.prose):
            if not _is_qualified(sentence, match):
                yield _Problem("status", sentence, match, "no record backs this", "remove it")

    def _device_claims(self, sentence: _Sentence) -> Iterator[_Problem]:
        for match in vocabulary.DEVICE_CLAIMS.finditer(sentence.text):
            yield from self._check_claim(sentence, match, vocabulary.find_devices(_extend_list(sentence.text, match)))

    def _model_claims(self, sentence: _Sentence) -> Iterator[_Problem]:
        devices = vocabulary.find_devices(sentence.text)
        matches = [*vocabulary.MODEL_CLAIMS.finditer(sentence.prose)]
        if devices:  # `working` in code counts as a status if a device is named too
            in_code = _WORKING.finditer(sentence.text)
            matches += [match for match in in_code if HIDDEN in sentence.prose[slice(*match.span())]]
        exempt = vocabulary.FILE_SIZE.search(sentence.text) or vocabulary.DEFINITION.search(sentence.text)
        if matches and not exempt and self.names.find(sentence.text, sentence.prose):
            for match in matches:
                yield from self._check_claim(sentence, match, devices)

    def _check_claim(self, sentence: _Sentence, match: _Match, devices: tuple[str, ...]) -> Iterator[_Problem]:
        if not _is_qualified(sentence, match) and not self._is_backed(sentence, match.start(), devices):
            yield self._status_problem(sentence, match, devices)

    def _check_marks(self, block: TextBlock) -> Iterator[_Problem]:
        """Yield a table cell that claims in one word or sign that something works."""
        content = re.search(r"\S.*\S|\S", block.text)
        if not block.column or content is None or not vocabulary.CHECK_MARKS.fullmatch(content[0]):
            return
        sentence = _Sentence(block=block, start=0, end=len(block.text))
        devices = vocabulary.find_devices(block.column) or vocabulary.find_devices(block.row)
        mentions = self.names.find(block.row, block.row)
        if devices and mentions and not self._has_status(mentions, devices, ("working",)):
            yield self._status_problem(sentence, content, devices)

    def _is_backed(self, sentence: _Sentence, index: int, devices: tuple[str, ...]) -> bool:
        """Return whether the records back a claim for all mentioned models on all *devices*."""
        before, after = sentence.clause(index)
        clause = before + after
        wanted: tuple[Status, ...] = ("working",)
        if "simulat" in clause.lower():
            wanted = ("working", "simulated")
        if re.search(r"random|tiny", clause, re.IGNORECASE):
            wanted = (*wanted, "random-weights")
        mentions = self._find_mentions(sentence)
        if vocabulary.EVERY_MODEL.search(sentence.text):
            mentions = tuple(self.support.engine_models(spec.name) for spec in self.support.engines)
        if re.match(r"ran\b", after):  # any record backs the past tense, but not the present tense
            return all(self.support.has_run(models, devices) for models in mentions or (self.support.models,))
        return self._has_status(mentions, devices, wanted)

    def _has_status(self, mentions: Mentions, devices: tuple[str, ...], wanted: tuple[Status, ...]) -> bool:
        has_status = self.support.has_status
        if not devices:  # a claim without a device is true if it is true on some device
            return all(any(has_status(models, [device], wanted) for device in DEVICES) for models in mentions)
        return all(has_status(models, devices, wanted) for models in mentions or (self.support.models,))

    def _find_mentions(self, sentence: _Sentence) -> Mentions:
        """Return the models that a sentence is about: those it names, or the text before it, its row or heading."""
        block = sentence.block
        before = max(sentence.start - _MAX_CONTEXT_CHARS, 0)
        for text, prose in (
            (sentence.text, sentence.prose),
            (block.text[before : sentence.start], block.prose[before : sentence.start]),
            (block.text[slice(*sentence.lead)], block.prose[slice(*sentence.lead)]),
            (block.row, block.row),
            (block.heading, block.heading),
        ):
            if mentions := self.names.find(text, prose):
                return mentions
        return ()

    def _status_problem(self, sentence: _Sentence, match: _Match, devices: tuple[str, ...]) -> _Problem:
        defaults = {self.support.default_model(spec) for spec in self.support.engines}
        statuses = dict.fromkeys(
            f"{model} on {device} is {' + '.join(self.support.cells[model, device].statuses)}"
            for models in self._find_mentions(sentence)
            for model in sorted(models, key=lambda model: model not in defaults)[:1]
            for device in devices or DEVICES
        )
        message = f"no record backs this ({'; '.join(statuses)})" if statuses else "no record backs this"
        cure = "remove it, or commit a record that makes it `working` and show that with the block 'status'"
        return _Problem("status", sentence, match, message, cure)


def _is_qualified(sentence: _Sentence, match: _Match) -> bool:
    """Return whether the clause negates the claim, leaves it open, or only restricts what it talks about."""
    before, after = sentence.clause(match.start())
    return bool(
        vocabulary.NEGATION.search(before)
        or _UNPROVEN.search(after)
        or re.search(r"\b(?:only|not|never)\b", match[0])
        or _RELATIVE.search(before)
        # The word is only mentioned, as in a legend.
        or (_TERM.search(before) and not any(status in before for status in STATUSES))
    )


def _extend_list(text: str, match: _Match) -> str:
    """Return the match with the devices that follow in the same list: ``on cpu, mps and cuda``."""
    pattern = rf"(?:(?:,|,? and|,? or)\s+(?:the |an? )?{vocabulary.DEVICE}(?![\w-]*\w))*"
    others = re.match(pattern, text[match.end() :], re.IGNORECASE)
    return match[0] + (others[0] if others else "")


def _is_measurement(kind: str, match: _Match, sentence: _Sentence) -> bool:
    """Return whether a figure is a measurement of a model or of speed."""
    context, clause = sentence.context, "".join(sentence.clause(match.start()))
    match kind:
        case "percent":
            topic = vocabulary.TOPIC.search(context) or vocabulary.TOPIC.search(sentence.block.heading)
            return bool(topic) and not re.search(r"\b(?:interval|resampl\w+|confidence)\b", context)
        case "seconds":
            column = sentence.block.column
            if vocabulary.PROCESSING_TIME.search(sentence.clause(match.start())[0]):
                return True
            is_timed_column = vocabulary.TIMING.search(column)
            is_timed = vocabulary.TIMING.search(clause) or is_timed_column
            return bool(is_timed) and not (vocabulary.AUDIO_LENGTH.search(clause) and not is_timed_column)
        case "memory":
            is_about_model = vocabulary.TOPIC.search(context) and not vocabulary.FILE_SIZE.search(context)
            return bool(vocabulary.MEMORY.search(context) or is_about_model)
        case "count":
            preceding = sentence.text[max(match.start() - _MAX_LIMIT_CHARS, 0) : match.start()]
            return not vocabulary.THRESHOLD.search(preceding) and bool(vocabulary.TOPIC.search(context))
    return True
