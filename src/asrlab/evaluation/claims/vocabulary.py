"""Patterns of claims about models and speed in prose, and of what negates or qualifies them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from asrlab.evaluation.claims.evidence import SupportMatrix

_I = re.IGNORECASE

# NameIndex of devices in prose, by kind.
_DEVICE_WORDS = {
    "cpu": r"CPUs?|laptops?|processors?",
    "mps": r"MPS|Metal|Macs?|MacBooks?|Apple(?: silicon)?|M[1-9](?: (?:Pro|Max|Ultra))?",
    "cuda": r"CUDA|NVIDIA|GPUs?",
}
_DEVICE_PATTERNS = {kind: re.compile(rf"(?<![\w-])(?:{words})(?!\w|-sim)", _I) for kind, words in _DEVICE_WORDS.items()}
DEVICE = rf"(?:{'|'.join(_DEVICE_WORDS.values())})"

_UP_TO_3_WORDS = r"(?:[\w'/-]+\s+){0,3}?"
_WORKS = (
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
"""Praise, which is flagged unless it is negated."""

DEVICE_CLAIMS = re.compile(
    rf"\b(?:{_WORKS})\s+{_UP_TO_3_WORDS}(?:on|with|under|by)\s+{_UP_TO_3_WORDS}{DEVICE}(?![\w-]*\w)"
    rf"|\bsupport(?:s|ing|ed)?\s+{_UP_TO_3_WORDS}{DEVICE}(?![\w-]*\w)"
    rf"|(?<![\w-]){DEVICE}(?:\s+and\s+{DEVICE})?(?:[- ](?:ready|capable|compatible|support\b)"
    r"|\s+(?:is|are)\s+(?:\w+\s+)?(?:supported|working|verified|proven|tested))",
    _I,
)
"""Claims that something works on a device."""

MODEL_CLAIMS = re.compile(r"\b(?:works|working|verified|proven|stable|reliable|robust|functional|supported)\b", _I)
"""Claims that a model works, in a sentence that names a model."""

_COMPARATIVE = (
    r"(?:(?<![\w-])(?:faster|slower|quicker|better|worse|leaner|lighter|cheaper|"
    r"(?:more|less|as) (?:accurate|precise|robust|reliable|memory)|fewer (?:word )?errors|"
    r"(?:lower|higher|smaller|less) (?:WER|CER|error|latency|memory|accuracy|RTFx?|throughput)\w*))"
    r"(?!-whisper|_whisper)"
)
COMPARISONS = re.compile(
    rf"{_COMPARATIVE}\s+(?:\w+\s+){{0,4}}?(?:than|as)\b"
    r"|\b(?:fastest|slowest|quickest|most accurate|leanest|unmatched|unbeaten|superior|outperform\w*|beats?)\b"
    r"|\bas (?:fast|accurate|good|lean) as\b"
    r"|\bthe (?:best|better) (?:\w+ ){0,2}(?:model|engine|accuracy|WER|transcri|recogni|result|quality|speed)\w*"
    r"|\b(?:is|are|was|be) (?:\w+ )?(?:the best|the better|better|best|faster|slower)\b(?!-whisper|_whisper)",
    _I,
)
"""Comparisons of quality or speed."""

CHECK_MARKS = re.compile(
    r"(?:working|works|yes|ok|okay|supported|verified|proven|tested|passe[sd]|pass|ready|stable|full|"
    r"[\u2713\u2714\u2705\u2611\U0001f7e2])[.!]?",
    _I,
)
"""Contents of a table cell that claim that something works."""

_NUMBER = r"(?<![\w.])\d+(?:[.,]\d+)?"
_NUMBER_WORD = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|twenty|fifty|hundred|several|many)"
FIGURES = {
    "percent": re.compile(rf"(?:{_NUMBER}|\b{_NUMBER_WORD})[\s-]?(?:%|per ?cent\b|(?:percentage )?points?\b)", _I),
    "times": re.compile(
        rf"{_NUMBER}\s?[x\u00d7](?![\w-])"
        rf"|(?:{_NUMBER}|\b{_NUMBER_WORD}) times (?:as|faster|slower|quicker|less|more|better|fewer|smaller|the)\b"
        r"|\b(?:twice|thrice|half) (?:as|the) (?:fast|slow|speed|memory|time|latency|errors?|WER|size|much)\b"
        r"|\borders? of magnitude\b",
        _I,
    ),
    "seconds": re.compile(rf"{_NUMBER}\s?(?:[mµ]?s|secs?|seconds?|milliseconds?|mins?|minutes?|hours?)\b(?!/)", _I),
    "memory": re.compile(rf"{_NUMBER}\s?[KMG]i?B\b"),
    "count": re.compile(rf"(?:{_NUMBER}|\b(?:no|zero)) (?:word )?errors?\b|{_NUMBER}/\d+ (?:words|errors)\b", _I),
    "rate": re.compile(
        r"\b(?:WER|CER|MER|WIL|RTFx?|p50|p90|p95|p99)\s*(?:of|is|was|=|:|at|under|below)?\s*(?:about\s+)?\d+(?:[.,]\d+)?"
    ),
}
"""Figures, by kind."""

TOPIC = re.compile(
    r"\b(?:WER|CER|MER|WIL|RTFx?|errors?|accura\w+|speed\w*|fast\w*|slow\w*|quick\w*|latenc\w+|throughput|models?|"
    r"engines?|whisper|LFM\d*|CPUs?|GPUs?|CUDA|MPS|memory|RAM|transcri\w+|recogni\w+|words?|clips?|utterances?|"
    r"transcribers?|hypothes[ei]s|benchmark\w*|overhead|better|worse|improve\w*)\b",
    _I,
)
"""Words that make a figure beside them a figure about a model or about speed."""

TIMING = re.compile(
    r"\b(?:takes?|took|load(?:s|ed|ing)?\b(?! of)|latenc\w+|p50|p90|p95|p99|faster|slower|quicker|speed|finish\w*|"
    r"spen[dt]s?|needs?|per (?:clip|utterance|file|recording|hour|second)|median|overhead|"
    r"in (?:about |under |less than |only |just )?\d)",
    _I,
)
"""Words that make seconds beside them a processing time rather than a length."""

PROCESSING_TIME = re.compile(
    r"\b(?:transcri\w+|process\w*|decod\w+|load\w*|finish\w*|runs?|ran|done|recogni\w+)\b.*"
    r"\bin (?:about |under |less than |only |just )?$",
    _I,
)
"""Text before a processing time, whatever else the clause measures: an hour of audio in 30 s."""

AUDIO_LENGTH = re.compile(r"\b(?:pieces?|silence|windows?|blocks?|pauses?|gap|apart|of (?:audio|speech)|limit)\b", _I)
"""Words that make seconds beside them the length of something."""

FILE_SIZE = re.compile(r"\b(?:weights|download\w*|fetch\w*|pull\w*|files?|checkpoint|disk|bytes|wheel)\b", _I)
"""Words that make bytes beside them a file size, unless `MEMORY` matches too."""

MEMORY = re.compile(r"\b(?:memory|RAM|VRAM|resident|peak|uses?|needs?|takes?)\b", _I)
"""Words that make bytes beside them the memory of a running model."""

THRESHOLD = re.compile(
    r"(?:at most|at least|no more than|up to|within|under|below|over|above|(?:more|less|longer|shorter) than|"
    r"limit(?: of)?|tolerance(?: of)?|every|beyond)\s*(?:about\s+)?$",
    _I,
)
"""Text before a figure that is a limit, not a measurement."""

NEGATION = re.compile(
    r"(?:\b(?:not|no|none|never|nothing|nobody|cannot|without|neither|nor|lacks?|refuses?|fails?|failed|unproven|"
    r"unverified|untested|unknown|instead of|rather than|whether|if|unless|until|only|anybody|wants?|to see|hardly)\b"
    r"|n't\b)"
    r"(?! (?:only|just|merely|doubt|less)\b)",
    _I,
)
"""Text before a claim in its clause that negates the claim or leaves it open."""

DENIED_COMPARISON = re.compile(
    r"\b(?:not|no|nothing|never|cannot|neither|whether|without)\b.*\b(?:say|says|said|claim\w*|pro(?:ve|ves|ven|of)|"
    r"show\w*|know\w*|measur\w*|tells?|rank\w*|record\w*|evidence|verified|compare\w*|whether)\b"
    r"|\b(?:says?|tells?|proves?|shows?|claims?)\s+(?:nothing|not|no)\b|\bwhether\b",
    _I,
)
"""Text before a comparison in its clause that says that none is made; "not" alone still compares: "not slower than"."""

DEFINITION = re.compile(
    r"\b(?:only (?:where|if)|means|the words?|is called|by the same rule|appears?|stands? for|rule|asks? for|"
    r"probability)\b",
    _I,
)
"""Words of a sentence that defines a term or says when it is used."""

EVERY_MODEL = re.compile(r"\b(?:every|all|each|any|both|whatever)\b(?: \w+)? (?:engines?|models?)\b", _I)

_PLAIN_WORD = re.compile(r"[a-z]+")
_FAMILIES = {
    "Whisper": ("faster-whisper", "openai-whisper"),
    **dict.fromkeys(("LFM", "LFM2", "LFM2-Audio", "LFM2.5", "LFM2.5-Audio"), ("liquid-audio",)),
}


type Mentions = tuple[tuple[str, ...], ...]
"""The engines, models or families that a text names, each as the full names of its models.

A claim about a mention is true if it is true for one of its models.
"""


@attrs.frozen(kw_only=True)
class NameIndex:
    """The models of each name of an engine, model or family, and a pattern of any name, the longest first."""

    pattern: re.Pattern[str]
    models: Mapping[str, tuple[str, ...]]

    @classmethod
    def build(cls, support: SupportMatrix) -> NameIndex:
        """Build the index of all engines, models and families in *support*."""
        index: dict[str, tuple[str, ...]] = {model: (model,) for model in support.models}
        for spec in support.engines:
            models = support.engine_models(spec.name)
            for name in (spec.name, *spec.aliases):
                index.setdefault(name, models)
            for short in (model.name for model in spec.models):
                index.setdefault(short, tuple(model for model in models if model.partition("/")[2] == short))
        for family, engines in _FAMILIES.items():
            models = tuple(model for engine in engines for model in support.engine_models(engine))
            index.setdefault(family, tuple(model for model in models if model in support.bounds))
        names = "|".join(re.escape(name) for name in sorted(index, key=len, reverse=True))
        return cls(pattern=re.compile(rf"(?<![\w/-])(?:{names})(?![\w-]|/\w)"), models=index)

    def find(self, text: str, prose: str) -> Mentions:
        """Return the engines and models that *text* names.

        A name that is also an English word, such as ``echo``, counts in code only, which is hidden in *prose*.
        """
        names = dict.fromkeys(
            match[0]
            for match in self.pattern.finditer(text)
            if not (_PLAIN_WORD.fullmatch(match[0]) and prose[slice(*match.span())] == match[0])
        )
        return tuple(self.models[name] for name in names)


def find_devices(text: str) -> tuple[str, ...]:
    """Return the kinds of devices that *text* names."""
    return tuple(kind for kind, pattern in _DEVICE_PATTERNS.items() if pattern.search(text))
