"""Text normalizers: what counts as the same word."""

from __future__ import annotations

import warnings
from difflib import get_close_matches
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

import attrs

from asrlab._version import __version__
from asrlab.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Normalizer", "get_normalizer", "whisper_rules", "whisper_version"]

# Rules that whisper-normalizer has and Whisper has not. With them "the cause" scores as "the because".
NOT_WHISPERS = (r"\bkinda\b", r"\bsorta\b", r"\bdunno\b", r"\bcause\b")


@attrs.frozen(kw_only=True)
class Normalizer:
    """A rule that brings reference and hypothesis into one spelling before they are compared.

    Calling it gives the normalized text: words separated by single spaces, none at the ends, empty if nothing is left.

    Attributes:
        name: Such as ``english``.
        version: What ran, with its version, such as ``whisper-normalizer 0.1.15``. Two scores compare only where name
            and version are the same.
        normalize: The rule, a function from text to text; its whitespace is folded afterwards.
    """

    name: str
    version: str
    normalize: Callable[[str], str] = attrs.field(repr=False, eq=False)

    def __call__(self, text: str) -> str:
        """*text* normalized."""
        return " ".join(self.normalize(text).split())


def get_normalizer(name: str) -> Normalizer:
    """The normalizer called *name*, built anew; keep it, since the first one built imports its package.

    Args:
        name: ``english`` is Whisper's ``EnglishTextNormalizer``: no case, punctuation, fillers or brackets,
            contractions written out, numbers as digits, American spelling. ``basic`` is Whisper's
            ``BasicTextNormalizer``, for any language: no case, punctuation, symbols or brackets; combining marks go
            too, so it suits no script that writes vowels with them. ``none`` changes nothing but folds whitespace:
            case and punctuation count.

    Raises:
        OptionError: There is no normalizer of this name.

    Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, appendix C.
    """
    if name in _BUILDERS:
        return _BUILDERS[name]()
    near = get_close_matches(name, _BUILDERS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise OptionError(
        f"there is no normalizer {name!r}; {hint}choose one of {', '.join(_BUILDERS)}",
        option="normalizer",
        supported=tuple(_BUILDERS),
    )


def _english() -> Normalizer:
    rules = whisper_rules("english", "EnglishTextNormalizer")
    extra = [pattern for pattern in NOT_WHISPERS if rules.replacers.pop(pattern, None) is not None]
    note = ", Whisper's rules only" if extra else ""
    return Normalizer(name="english", version=f"{whisper_version()}{note}", normalize=rules)


def _basic() -> Normalizer:
    return Normalizer(name="basic", version=whisper_version(), normalize=whisper_rules("basic", "BasicTextNormalizer"))


def whisper_rules(module: str, name: str) -> Any:
    """One of whisper-normalizer's rules, imported without the warning about an escape in one of its docstrings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return getattr(import_module(f"whisper_normalizer.{module}"), name)()


def _none() -> Normalizer:
    return Normalizer(name="none", version=f"asrlab {__version__}, whitespace folded", normalize=str)


def whisper_version() -> str:
    """The package that has Whisper's rules, with its version."""
    return f"whisper-normalizer {metadata.version('whisper-normalizer')}"


_BUILDERS: dict[str, Callable[[], Normalizer]] = {"english": _english, "basic": _basic, "none": _none}
