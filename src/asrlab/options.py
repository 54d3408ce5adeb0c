"""Options: of loading, of a transcription, of batching; and the capabilities that they are checked against."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from os import PathLike
from typing import Any, Literal, TypedDict, cast

import attrs

from asrlab.audio.types import check_track
from asrlab.errors import OptionError
from asrlab.languages import language_tag

Task = Literal["transcribe", "translate"]
TASKS: tuple[Task, ...] = ("transcribe", "translate")

type EngineOptions = tuple[tuple[str, Any], ...]
"""Options of a single engine, sorted by name; lists are tuples, and mappings are pairs like these."""


class TextToShorten(str):
    """A prompt from a compatibility shim: shortened as upstream does if it is too long, in place of an error."""

    __slots__ = ()


@attrs.frozen(kw_only=True)
class LoadOptions:
    """Options of loading a model; `asrlab.load` documents each."""

    device: str = "auto"
    compute_type: str = "auto"
    threads: int | None = None
    weights: str | PathLike[str] | None = None
    offline: bool = False
    patches: str | Iterable[str] | None = None


class OptionFields(TypedDict, total=False):
    """The keyword arguments of ``transcribe``; `TranscribeOptions` documents each."""

    language: str | None
    task: Task
    word_timestamps: bool
    beam_size: int | None
    temperature: float | tuple[float, ...] | None
    initial_prompt: str | None
    hotwords: str | None
    vad_filter: bool
    allow_truncated: bool
    track: int | None
    engine_options: Mapping[str, Any]


def _language(value: object) -> str | None:
    if value is None:
        return None
    tag = language_tag(value) if isinstance(value, str) else None
    if tag is None:
        raise OptionError(
            f"language {value!r} is not a BCP 47 tag; give one such as 'en' or 'pt-BR', or None to detect it",
            option="language",
        )
    return tag


def _temperature(value: object) -> float | tuple[float, ...] | None:
    if value is None:
        return None
    steps = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not steps or not all(isinstance(t, int | float) and not isinstance(t, bool) and 0 <= t <= 2 for t in steps):
        raise OptionError(
            f"temperature {value!r} must be a number in [0, 2], or several that are tried in turn", option="temperature"
        )
    return tuple(float(t) for t in steps) if isinstance(value, list | tuple) else float(steps[0])


type _Validator = Callable[[object, attrs.Attribute[Any], Any], None]


def _must_be(needed: str, is_valid: Callable[[Any], bool]) -> _Validator:
    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not is_valid(value):
            raise OptionError(f"{attribute.name} {value!r} must be {needed}", option=attribute.name)

    return check


def _whole_number(maximum: int) -> _Validator:
    return _must_be(
        f"a whole number from 1 to {maximum}",
        lambda value: value is None or (type(value) is int and 1 <= value <= maximum),
    )


_BOOLEAN = _must_be("True or False", lambda value: isinstance(value, bool))
_STRING = _must_be("a string", lambda value: value is None or isinstance(value, str))


def _check_task(_instance: object, _attribute: object, value: object) -> None:
    if value not in TASKS:
        raise OptionError(
            f"task {value!r} is unknown; choose one of {', '.join(TASKS)}", option="task", supported=TASKS
        )


def _engine_options(value: object) -> EngineOptions:
    try:
        pairs: dict[Any, Any] = dict(cast("Any", value))  # documents have pairs
    except (TypeError, ValueError):
        raise OptionError(
            f"engine_options {value!r} must be a mapping of names to values", option="engine_options"
        ) from None
    if not all(isinstance(name, str) and name for name in pairs):
        raise OptionError(f"engine_options {value!r} has a name that is not a string", option="engine_options")
    return tuple((name, _plain(name, pairs[name])) for name in sorted(pairs))


def _plain(name: str, value: object) -> Any:
    """Return *value* as immutable JSON values."""
    if isinstance(value, Mapping):
        return tuple((key, _plain(name, value[key])) for key in sorted(value))
    if isinstance(value, list | tuple):
        return tuple(_plain(name, element) for element in value)
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise OptionError(
        f"engine option {name}={value!r} must be a string, a finite number, True, False, None, or a list or mapping "
        "of these",
        option=name,
    )


@attrs.frozen(kw_only=True)
class TranscribeOptions:
    """Options of a transcription. None leaves the choice to the engine.

    Attributes:
        language: BCP 47 tag of the speech, such as ``en`` or ``pt-BR``; None detects it. ``pt_BR``, ``por`` and
            ``Portuguese`` are converted.
        task: ``transcribe`` keeps the language, ``translate`` translates to English.
        word_timestamps: Time each word.
        beam_size: Width of the beam search, 1 to 100; 1 is greedy.
        temperature: Sampling temperature in [0, 2]; of a tuple, the next one is tried if a result fails the engine's
            own checks.
        initial_prompt: Text that the model takes for the text before the audio.
        hotwords: Words to expect, in one string.
        vad_filter: Skip audio in which voice activity detection finds no speech.
        allow_truncated: Accept audio that decodes to less than its header declares, with a warning instead of an error.
        track: Number of the audio track, from 1, of files that have several; None takes the one that a file marks as
            its default, or else the first, with a warning.
        engine_options: Options of a single engine, by the names in its package, such as ``{"patience": 2.0}``; given
            as a mapping, stored as pairs. ``Capabilities.engine_options`` lists them.
    """

    language: str | None = attrs.field(default=None, converter=_language)
    task: Task = attrs.field(default="transcribe", validator=_check_task)
    word_timestamps: bool = attrs.field(default=False, validator=_BOOLEAN)
    beam_size: int | None = attrs.field(default=None, validator=_whole_number(100))
    temperature: float | tuple[float, ...] | None = attrs.field(default=None, converter=_temperature)
    initial_prompt: str | None = attrs.field(default=None, validator=_STRING)
    hotwords: str | None = attrs.field(default=None, validator=_STRING)
    vad_filter: bool = attrs.field(default=False, validator=_BOOLEAN)
    allow_truncated: bool = attrs.field(default=False, validator=_BOOLEAN)
    track: int | None = attrs.field(default=None, validator=lambda _instance, _attribute, track: check_track(track))
    engine_options: EngineOptions = attrs.field(default=(), converter=_engine_options)

    @classmethod
    def of(cls, base: TranscribeOptions | None, given: dict[str, Any]) -> TranscribeOptions:
        """Return *base* with the values in *given*; refuse unknown names and values out of range."""
        known = [field.name for field in attrs.fields(cls)]
        for name in given:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
                raise OptionError(f"there is no option {name!r}{hint}", option=name, supported=known)
        return attrs.evolve(base or cls(), **given)

    @property
    def primary_language(self) -> str | None:
        """The language without region and script, such as ``pt`` for ``pt-BR``. Whisper's models know no more."""
        return self.language.split("-")[0].lower() if self.language else None

    @property
    def temperatures(self) -> tuple[float, ...] | None:
        """The temperatures to try in turn; None leaves the choice to the engine."""
        return (self.temperature,) if isinstance(self.temperature, float) else self.temperature

    def engine_option(self, name: str, default: Any) -> Any:
        """Return an option of `engine_options`, or *default* if it is not set."""
        return dict(self.engine_options).get(name, default)


def _padding(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
        raise OptionError(f"padding_s {value!r} must be a number of seconds, at least 0", option="padding_s")
    return float(value)


@attrs.frozen(kw_only=True)
class Batching:
    """Settings of batched transcription. None leaves the choice to the calibration, or else to the engine.

    Attributes:
        batch_size: Maximum number of chunks in a batch, 1 to 1024; 1 turns batches off.
        workers: Number of batches that are decoded at once, 1 to 256.
        threads: CPU threads of each worker, 1 to 1024.
        padding_s: Seconds of silence after the longest chunk of a batch, in place of the engine's full window; 30 or
            more gives Whisper its full window.
        batch_encoder: True if the encoder processes a batch in one call; otherwise each chunk in a call of its own.
    """

    batch_size: int | None = attrs.field(default=None, validator=_whole_number(1024))
    workers: int | None = attrs.field(default=None, validator=_whole_number(256))
    threads: int | None = attrs.field(default=None, validator=_whole_number(1024))
    padding_s: float | None = attrs.field(default=None, converter=_padding)
    batch_encoder: bool | None = None

    def over(self, other: Batching | None) -> Batching:
        """Return these settings, with those that are None taken from *other*."""
        given = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        return attrs.evolve(other or Batching(), **given)


@attrs.frozen(kw_only=True)
class Capabilities:
    """Options that an engine supports with one model on one device.

    Attributes:
        tasks: Supported tasks.
        languages: Primary subtags of the supported languages; None if the engine does not report them.
        word_timestamps: Supports word times.
        beam_size: Supports beam search.
        temperature: Supports sampling temperatures.
        initial_prompt: Supports a prompt.
        hotwords: Supports words to expect.
        vad_filter: Supports skipping of silence.
        engine_options: Names of the supported options of this engine alone.
    """

    tasks: tuple[Task, ...] = ("transcribe",)
    languages: tuple[str, ...] | None = None
    word_timestamps: bool = False
    beam_size: bool = False
    temperature: bool = False
    initial_prompt: bool = False
    hotwords: bool = False
    vad_filter: bool = False
    engine_options: tuple[str, ...] = ()

    def supported(self) -> tuple[str, ...]:
        """Return the names of the supported options."""
        return tuple(name for name in _SWITCHES if getattr(self, name))

    def check(self, options: TranscribeOptions, *, model: str) -> None:
        """Check that all of *options* are supported, so that none is ignored silently.

        Raises:
            OptionError: If one is not; the message has the option, *model*, and the alternatives.
        """
        for name in _SWITCHES:
            asked = getattr(options, name)
            if asked is not None and asked is not False and not getattr(self, name):
                can = ", ".join(self.supported()) or "none of them"
                raise OptionError(
                    f"{model} cannot honour {name}; of the optional settings it supports: {can}",
                    option=name,
                    supported=self.supported(),
                )
        if options.task not in self.tasks:
            raise OptionError(
                f"{model} cannot {options.task}; it can {' and '.join(self.tasks)}", option="task", supported=self.tasks
            )
        self.check_language(options, model=model)
        for name, _ in options.engine_options:
            if name not in self.engine_options:
                known = f"it knows {', '.join(self.engine_options)}" if self.engine_options else "it has none"
                near = get_close_matches(name, self.engine_options, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise OptionError(
                    f"{model} has no engine option {name!r}; {known}{hint}", option=name, supported=self.engine_options
                )

    def check_language(self, options: TranscribeOptions, *, model: str) -> None:
        """Refuse a language that is not among *languages*."""
        asked = options.primary_language
        if asked is not None and self.languages is not None and asked not in self.languages:
            raise OptionError(
                f"{model} does not know the language {options.language!r}; it knows {', '.join(self.languages)}",
                option="language",
                supported=self.languages,
            )


_SWITCHES = ("word_timestamps", "beam_size", "temperature", "initial_prompt", "hotwords", "vad_filter")
