"""Drop-in replacements for other packages, over any transcriber, and what they share: a base, spaces and times."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from asrlab import loading
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import OptionError
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.transcript import Segment, join_texts
from asrlab.weights import WeightsStore

_PACKAGE = str(Path(__file__).parents[1])
_WORD_OPTIONS = ("prepend_punctuations", "append_punctuations", "hallucination_silence_threshold")


class CompatModel:
    """A transcriber with the interface of another package's model, and a context manager, unlike upstream's model.

    Attributes:
        transcriber: The transcriber that does the work.
    """

    _upstream: ClassVar[str]
    """Expression for upstream's model, for messages."""

    transcriber: Transcriber

    def close(self) -> None:
        """Release the memory. Upstream's model does this when it is garbage collected."""
        self.transcriber.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "transcriber":  # Python's own lookups, and a model that failed to load
            raise AttributeError(name)
        raise AttributeError(
            f"asrlab's drop-in replacement has no {name!r}, which only one engine has; use .transcriber, or upstream's "
            f"{self._upstream}.{name}"
        )


def warn_ignored(argument: str, reason: str) -> None:
    """Warn at the caller's line that *argument* is ignored."""
    warnings.warn(f"{argument} is ignored: {reason}", skip_file_prefixes=(_PACKAGE,))


def drop_ignored(requested: dict[str, Any], languages: tuple[str, ...] | None) -> None:
    """Remove from *requested* what both upstreams ignore, with warnings.

    Those are options of words that are not requested, and another language for a model that knows only English.
    """
    for name in _WORD_OPTIONS if not requested.get("word_timestamps") else ():
        if requested.pop(name, None) is not None:
            warn_ignored(name, "it requires word_timestamps=True")
    language = requested.get("language")
    if languages == ("en",) and language not in (None, "en"):
        warn_ignored(f"language={language!r}", "the model knows only English")
        requested["language"] = "en"


def load_transcriber(name: str, *, compute_type: str = "auto", **options: Any) -> Transcriber:
    """Load a model; a compute type that the engine does not have here becomes ``auto``, with a warning."""
    try:
        return loading.load(name, compute_type=compute_type, **options)
    except OptionError as error:
        if error.option != "compute_type":
            raise
        warn_ignored(f"compute_type={compute_type!r}", error.message)
        return loading.load(name, **options)


def weights_in(folder: str | PathLike[str], name: str, *, offline: bool = False) -> Path | None:
    """Return the weights of model *name* below *folder*, after a download into it if necessary."""
    store = WeightsStore(Path(folder).expanduser())
    stored = loading.fetch_weights_to_load(Registry(PluginHost()).resolve(name), store=store, offline=offline)
    return stored.path if stored else None


def segment_dict(number: int, segment: Segment, language: str | None) -> dict[str, Any]:
    """Return *segment* with the field names of both Whispers; values that the engine does not report are None.

    As Whisper writes them, the text and its words begin with a space if *language* is written with spaces or unknown.
    """
    lead = " " if " " in join_texts(("a", "b"), language) else ""
    words, end = [], 0
    for word in segment.words or ():
        start = segment.text.find(word.text, end)
        gap = " " if start < 0 else segment.text[end:start]
        text = (gap if end else lead) + word.text
        words.append({"word": text, "start": word.start, "end": word.end, "probability": word.probability})
        end = end if start < 0 else start + len(word.text)
    return {
        "id": number,
        "seek": segment.seek,
        "start": segment.start,
        "end": segment.end,
        "text": lead + segment.text,
        "tokens": list(segment.tokens or ()),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
        **({} if segment.words is None else {"words": words}),
    }


@contextmanager
def progress_bar(total: float | None = None) -> Iterator[Callable[..., None]]:
    """Show a progress bar on standard error, and yield the function that moves it, by *completed* and *total*."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        yield partial(bar.update, bar.add_task("transcribing", total=total))


def format_timestamp(
    seconds: float,
    always_include_hours: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
    decimal_marker: str = ".",
) -> str:
    """Format *seconds* as ``MM:SS.mmm``, or ``HH:MM:SS.mmm`` from an hour on.

    Raises:
        OptionError: If *seconds* is negative.
    """
    if seconds < 0:
        raise OptionError(f"a time of {seconds} s is before the start of the audio; give 0 or more", option="seconds")
    total, ms = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(total, 60)
    hours, minute = divmod(minutes, 60)
    prefix = f"{hours:02d}:" if hours or always_include_hours else ""
    return f"{prefix}{minute:02d}:{second:02d}{decimal_marker}{ms:03d}"
