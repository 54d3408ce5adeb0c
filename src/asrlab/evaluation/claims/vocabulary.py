"""The words and figures that say something of a model or of speed, and those that take it back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import attrs

from asrlab.evaluation.claims.support_status import SupportMatrix

_I = re.IGNORECASE

# A device as prose names it, by kind.
_DEVICE_WORDS = {
    "cpu": r"CPUs?|laptops?|processors?",
    "mps": r"MPS|Metal|Macs?|MacBooks?|Apple(?: silicon)?|M[1-9](?: (?:Pro|Max|Ultra))?",
    "cuda": r"CUDA|NVIDIA|GPUs?",
}
KINDS = {kind: re.compile(rf"(?<![\w-])(?:{words})(?!\w|-sim)", _I) for kind, words in _DEVICE_WORDS.items()}
DEVICE = rf"(?:{'|'.join(_DEVICE_WORDS.values())})"

_FEW = r"(?:[\w'/-]+\s+){0,3}?"
_DOES = (
    r"(?:works?|worked|working|runs?|ran|running|transcribes?)(?! (?:it|them|this|that|these|every|each|your)\b)|"
    r"tested|verified|proven|validated|supported|usable|functional|stable|reliable|reliably|faultless|ready"
)

PRAISE = re.compile(
    r"\b(?:production[- ](?:ready|grade|quality|proven|tested)|ready for production|battle[- ]tested|rock[- ]solid|"
    r"enterprise[- ](?:ready|grade)|state[- ]of[- ]the[- ]art|SOTA|world[- ]class|best[- ]in[- ]class|"
    r"industry[- ]leading|cutting[- ]edge|blazing(?:ly)?|lightning[- ]fast|flawless(?:ly)?|error[- ]free|"
    r"real[- ]?time|fully (?:supported|working|functional|tested|compatible|verified)|"
    r"works? (?:out of the box|everywhere|perfectly|reliably|on (?:any|every|all)\b))",
    _I,
)
"""Flagged wherever it stands, unless it is denied."""

DEVICE_CLAIMS = re.compile(
    rf"\b(?:{_DOES})\s+{_FEW}(?:on|with|under|by)\s+{_FEW}{DEVICE}(?![\w-]*\w)"
    rf"|\bsupport(?:s|ing|ed)?\s+{_FEW}{DEVICE}(?![\w-]*\w)"
    rf"|(?<![\w-]){DEVICE}(?:\s+and\s+{DEVICE})?(?:[- ](?:ready|capable|compatible|support\b)"
    r"|\s+(?:is|are)\s+(?:\w+\s+)?(?:supported|working|verified|proven|tested))",
    _I,
)
"""That something does its work on a device."""

MODEL_CLAIMS = re.compile(r"\b(?:works|working|verified|proven|stable|reliable|robust|functional|supported)\b", _I)
"""That a model does its work, in a sentence that names one."""

_COMPARATIVE = (
    r"(?:(?<![\w-])(?:faster|slower|quicker|better|worse|leaner|lighter|cheaper|"
    r"(?:more|less|as) (?:accurate|precise|robust|reliable|memory)|fewer (?:word )?errors|"
    r"(?:lower|higher|smaller|less) (?:WER|CER|error|latency|memory|accuracy|RTFx?|throughput)\w*))"
    r"(?!-whisper|_whisper)"
)
COMPARED = re.compile(
    rf"{_COMPARATIVE}\s+(?:\w+\s+){{0,4}}?(?:than|as)\b"
    r"|\b(?:fastest|slowest|quickest|most accurate|leanest|unmatched|unbeaten|superior|outperform\w*|beats?)\b"
    r"|\bas (?:fast|accurate|good|lean) as\b"
    r"|\bthe (?:best|better) (?:\w+ ){0,2}(?:model|engine|accuracy|WER|transcri|recogni|result|quality|speed)\w*"
    r"|\b(?:is|are|was|be) (?:\w+ )?(?:the best|the better|better|best|faster|slower)\b(?!-whisper|_whisper)",
    _I,
)
"""That one is ahead of another."""

MARKS = re.compile(
    r"(?:working|works|yes|ok|okay|supported|verified|proven|tested|passe[sd]|pass|ready|stable|full|"
    r"[\u2713\u2714\u2705\u2611\U0001f7e2])[.!]?",
    _I,
)
"""What a cell of a table says if it says that something works."""

_NUMBER = r"(?<![\w.])\d+(?:[.,]\d+)?"
_SPELLED = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|twenty|fifty|hundred|several|many)"
FIGURES = {
    "percent": re.compile(rf"(?:{_NUMBER}|\b{_SPELLED})[\s-]?(?:%|per ?cent\b|(?:percentage )?points?\b)", _I),
    "times": re.compile(
        rf"{_NUMBER}\s?[x\u00d7](?![\w-])"
        rf"|(?:{_NUMBER}|\b{_SPELLED}) times (?:as|faster|slower|quicker|less|more|better|fewer|smaller|the)\b"
        r"|\b(?:twice|thrice|half) (?:as|the) (?:fast|slow|speed|memory|time|latency|errors?|WER|size|much)\b"
        r"|\borders? of magnitude\b",
        _I,
    ),
    "seconds": re.compile(rf"{_NUMBER}\s?(?:[mµ]?s|secs?|seconds?|milliseconds?|mins?|minutes?|hours?)\b(?!/)", _I),
    "memory": re.compile(rf"{_NUMBER}\s?[KMG]i?B\b"),
    "count": re.compile(rf"(?:{_NUMBER}|\b(?:no|zero)) (?:word )?errors?\b|{_NUMBER}/\d+ (?:words|errors)\b", _I),
    "rate": re.compile(
        r"\b(?:WER|CER|MER|WIL|RTFx?|p50|p90|p95|p99)\s*(?:of|is|was|=|:|at|under|below)?\s*(?:about\s+)?\d+(?:[.,]\d+)?",
    ),
}
"""The shapes of figures."""

TOPIC = re.compile(
    r"\b(?:WER|CER|MER|WIL|RTFx?|errors?|accura\w+|speed\w*|fast\w*|slow\w*|quick\w*|latenc\w+|throughput|models?|"
    r"engines?|whisper|LFM\d*|CPUs?|GPUs?|CUDA|MPS|memory|RAM|transcri\w+|recogni\w+|words?|clips?|utterances?|"
    r"transcribers?|hypothes[ei]s|benchmark\w*|overhead|better|worse|improve\w*)\b",
    _I,
)
"""What a figure has to stand beside to be one of a model or of speed."""

TIMING = re.compile(
    r"\b(?:takes?|took|load(?:s|ed|ing)?\b(?! of)|latenc\w+|p50|p90|p95|p99|faster|slower|quicker|speed|finish\w*|"
    r"spen[dt]s?|needs?|per (?:clip|utterance|file|recording|hour|second)|median|overhead|"
    r"in (?:about |under |less than |only |just )?\d)",
    _I,
)
"""What seconds have to stand beside to be time spent, rather than the length of something."""

SPENT = re.compile(
    r"\b(?:transcri\w+|process\w*|decod\w+|load\w*|finish\w*|runs?|ran|done|recogni\w+)\b.*"
    r"\bin (?:about |under |less than |only |just )?$",
    _I,
)
"""Before seconds that are spent, whatever else the clause measures: an hour of audio in so many."""

AUDIO_LENGTH = re.compile(r"\b(?:pieces?|silence|windows?|blocks?|pauses?|gap|apart|of (?:audio|speech)|limit)\b", _I)
"""What seconds stand beside that are the length of something."""

SIZE = re.compile(r"\b(?:weights|download\w*|fetch\w*|pull\w*|files?|checkpoint|disk|bytes|wheel)\b", _I)
"""What bytes stand beside that are the size of a file, unless `MEMORY` is there too."""

MEMORY = re.compile(r"\b(?:memory|RAM|VRAM|resident|peak|uses?|needs?|takes?)\b", _I)
"""What bytes stand beside that are held while a model runs."""

THRESHOLD = re.compile(
    r"(?:at most|at least|no more than|up to|within|under|below|over|above|(?:more|less|longer|shorter) than|"
    r"limit(?: of)?|tolerance(?: of)?|every|beyond)\s*(?:about\s+)?$",
    _I,
)
"""Before a figure that is demanded, not measured."""

AGAINST = re.compile(
    r"(?:\b(?:not|no|none|never|nothing|nobody|cannot|without|neither|nor|lacks?|refuses?|fails?|failed|unproven|"
    r"unverified|untested|unknown|instead of|rather than|whether|if|unless|until|only|anybody|wants?|to see|hardly)\b"
    r"|n't\b)"
    r"(?! (?:only|just|merely|doubt|less)\b)",
    _I,
)
"""Before a claim in its clause: it is denied, or left open."""

NOT_SAYING = re.compile(
    r"\b(?:not|no|nothing|never|cannot|neither|whether|without)\b.*\b(?:say|says|said|claim\w*|pro(?:ve|ves|ven|of)|"
    r"show\w*|know\w*|measur\w*|tells?|rank\w*|record\w*|evidence|verified|compare\w*|whether)\b"
    r"|\b(?:says?|tells?|proves?|shows?|claims?)\s+(?:nothing|not|no)\b|\bwhether\b",
    _I,
)
"""Before a comparison in its clause: that it is not made. A mere ``not`` makes another one: never slower than."""

MEANING = re.compile(
    r"\b(?:only (?:where|if)|means|the words?|is called|by the same rule|appears?|stands? for|rule|asks? for|"
    r"probability)\b",
    _I,
)
"""In a sentence that says what a word means, or when it is used."""

EVERY = re.compile(r"\b(?:every|all|each|any|both|whatever)\b(?: \w+)? (?:engines?|models?)\b", _I)

_PLAIN_NAME = re.compile(r"[a-z]+")
_FAMILIES = {
    "Whisper": ("faster-whisper", "openai-whisper"),
    **dict.fromkeys(("LFM", "LFM2", "LFM2-Audio", "LFM2.5", "LFM2.5-Audio"), ("liquid-audio",)),
}


@attrs.frozen(kw_only=True)
class Subject:
    """An engine or a model that a sentence names.

    Attributes:
        name: As it is named.
        models: Full names; that one of them does its work makes a sentence of it true.
    """

    name: str
    models: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Names:
    """The names of engines and models.

    Attributes:
        pattern: Any of them, the longest first.
        subjects: What each stands for.
    """

    pattern: re.Pattern[str]
    subjects: Mapping[str, Subject]

    @classmethod
    def of(cls, board: SupportMatrix) -> Names:
        """Those of a board."""
        subjects: dict[str, Subject] = {}
        for name, models in _names(board):
            subjects.setdefault(name, Subject(name=name, models=models))
        known = "|".join(re.escape(name) for name in sorted(subjects, key=len, reverse=True))
        return cls(pattern=re.compile(rf"(?<![\w/-])(?:{known})(?![\w-]|/\w)"), subjects=subjects)

    def subjects_in(self, text: str, prose: str) -> tuple[Subject, ...]:
        """The engines and models that *text* names.

        A name that is a plain word, such as ``echo``, counts in code only, where *prose* has nothing.
        """
        found: dict[str, Subject] = {}
        for match in self.pattern.finditer(text):
            if not (_PLAIN_NAME.fullmatch(match[0]) and prose[slice(*match.span())] == match[0]):
                found[match[0]] = self.subjects[match[0]]
        return tuple(found.values())


def _names(board: SupportMatrix) -> Iterator[tuple[str, tuple[str, ...]]]:
    for model in board.models:
        yield model, (model,)
    for spec in board.engines:
        models = board.of_engine(spec.name)
        for name in (spec.name, *spec.aliases):
            yield name, models
        for each in spec.models:
            yield each.name, tuple(model for model in models if model.partition("/")[2] == each.name)
    for family, engines in _FAMILIES.items():
        named = [model for engine in engines for model in board.of_engine(engine) if model in board.named]
        yield family, tuple(named)


def devices_in(text: str) -> tuple[str, ...]:
    """The kinds of devices that *text* names."""
    return tuple(kind for kind, pattern in KINDS.items() if pattern.search(text))
