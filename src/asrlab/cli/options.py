"""Arguments and options that several commands share, and the records made from their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from asrlab.options import Batching, TranscribeOptions
    from asrlab.transcript import SubtitleLayout

type Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class FilePath(click.Path):
    """A path option whose value is a `pathlib.Path`; ``--help`` does not import pathlib."""

    def coerce_path_result(self, value: Any) -> Path:
        """Return *value* as a path."""
        from pathlib import Path

        return Path(value)


def combine(*options: Decorator) -> Decorator:
    """Return one decorator that adds *options* in their order."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def complete_model(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the models whose names begin with *typed*."""
    from asrlab.loading import list_models

    return [resolved.name for resolved in list_models() if resolved.name.startswith(typed)]


def complete_dataset(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the data sets whose names begin with *typed*, and let the shell complete a file."""
    from asrlab.evaluation.catalog import list_datasets

    return _names_or_file((spec.name for spec in list_datasets()), typed)


def complete_run(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the runs whose names begin with *typed*, and let the shell complete a file."""
    from asrlab.evaluation.runs.storage import runs_root

    return _names_or_file(sorted(path.parent.name for path in runs_root().glob("*/manifest.json")), typed)


def _names_or_file(names: Any, typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [*(CompletionItem(name) for name in names if name.startswith(typed)), CompletionItem(typed, type="file")]


def split_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Return the names in the value of an option, which has commas between them."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


def number(name: str, default: float | None, description: str, *, at_least: int = 0) -> Decorator:
    """Return an option for a number; its default is shown unless it is None."""
    kind = click.FloatRange(min=at_least) if isinstance(default, float) else click.IntRange(min=at_least)
    return click.option(name, type=kind, default=default, show_default=default is not None, help=description)


def flag(*names: str, description: str, default: bool | None = False) -> Decorator:
    """Return an option without a value; *default* may be None to tell an option that was not given."""
    return click.option(*names, is_flag=True, default=default, help=description)


runs_argument = click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_run)
models_argument = click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=complete_model)
model_option = click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="MODEL",
    shell_complete=complete_model,
    help="A model as engine/model. Repeatable. See: asrlab models",
)
as_json = flag("--json", "as_json", description="Print one JSON object instead.")
offline_option = flag("--offline", description="Fetch no weights over the network.")
engine_filter = click.option("--engine", "engines", multiple=True, metavar="NAME", help="Only this engine. Repeatable.")
run_view_options = combine(
    flag("--verbose", description="Print all figures, findings and texts."),
    flag("--only-table", description="Leave out the texts."),
)
normalizers_option = click.option(
    "--normalizers",
    metavar="NAMES",
    callback=split_names,
    help="Score with several normalizers side by side: english,basic,none,leaderboard,by-language.",
)
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
device_options = combine(
    device_option,
    click.option("--compute-type", default="auto", show_default=True, help="Such as int8 or float32."),
    number("--threads", None, "CPU threads of an inference.", at_least=1),
    offline_option,
    click.option("--patches", metavar="CHOICE", help="auto, off, or names with commas. See: asrlab patches"),
)
engine_options = combine(
    click.option("--language", help="BCP 47 tag, such as en; detected if not given."),
    click.option("--task", type=click.Choice(["transcribe", "translate"]), help="translate produces English."),
    flag("--word-timestamps", description="Time each word.", default=None),
    click.option("--beam-size", type=int, help="Width of the beam search; 1 is greedy."),
    click.option("--temperature", type=float, multiple=True, help="Sampling temperature; several are tried in order."),
    click.option("--initial-prompt", help="Text that the model treats as what came before."),
    click.option("--hotwords", help="Words to expect, in one string."),
    flag("--vad-filter", description="Leave out silence.", default=None),
    flag("--allow-truncated", description="Accept audio that ends early.", default=None),
    click.option("--track", type=int, metavar="N", help="Audio track of files that have several, counted from 1."),
    click.option(
        "--engine-option",
        "engine_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="An option of this engine alone, such as patience=2; VALUE is JSON or plain text. Repeatable.",
    ),
)
batching_options = combine(
    click.option("--batch-size", type=int, help="Maximum inputs decoded in one call; 1 decodes one at a time."),
    click.option("--workers", type=int, help="Batches decoded at once."),
    click.option("--worker-threads", type=int, help="CPU threads of each worker."),
    click.option("--padding", "padding_s", type=float, help="Seconds of silence after a batch; 30: the full window."),
    click.option(
        "--batch-encoder/--no-batch-encoder", default=None, help="Encode a batch in one call, or each chunk alone."
    ),
)
bootstrap_options = combine(
    click.option(
        "--bootstrap-unit",
        type=click.Choice(["auto", "speaker", "recording", "utterance"]),
        default="auto",
        show_default=True,
        help="Unit that the bootstrap draws; auto: speakers, else recordings, if every utterance has one.",
    ),
    number("--resamples", 10_000, "Resamples of the bootstrap.", at_least=1),
    number("--seed", 0, "Seed of the bootstrap."),
)
comparison_options = combine(
    click.option("--normalizer", help="english, basic, none, leaderboard or by-language; the runs' own if not given."),
    normalizers_option,
    bootstrap_options,
    flag("--shared-only", "only_shared", description="Compare only the utterances that all runs share."),
)
layout_options = combine(
    number("--max-line-length", 42, "Characters of a line in srt and vtt; 0 leaves each segment whole."),
    number("--max-lines", 2, "Lines of a subtitle.", at_least=1),
    number(
        "--max-chars-per-second",
        20.0,
        "Reading speed above which a subtitle is shown longer, if there is time; 0 leaves the times.",
    ),
    number("--min-duration", 0.7, "Seconds that a subtitle is shown at least, if there is time; 0 leaves the times."),
)


def to_batching(given: dict[str, Any]) -> Batching:
    """Remove the values of `batching_options` from *given* and return them; the calibration sets what is None."""
    from asrlab.options import Batching

    names = ("batch_size", "workers", "padding_s", "batch_encoder")
    return Batching(threads=given.pop("worker_threads"), **{name: given.pop(name) for name in names})


def to_transcribe_options(given: dict[str, Any]) -> TranscribeOptions:
    """Remove the values of `engine_options` from *given* and return those that were given."""
    import attrs

    from asrlab.options import TranscribeOptions

    values = {name: given.pop(name) for name in attrs.fields_dict(TranscribeOptions) if name in given}
    chosen = {name: value for name, value in values.items() if value not in (None, ())}
    if "engine_options" in chosen:
        chosen["engine_options"] = dict(map(_parse_engine_option, chosen["engine_options"]))
    return TranscribeOptions.of(None, chosen)


def _parse_engine_option(written: str) -> tuple[str, Any]:
    from asrlab.bounded_json import parse_json

    name, equals, value = written.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{written!r} is not NAME=VALUE, such as patience=2", param_hint="--engine-option")
    try:
        return name, parse_json(value)
    except ValueError:
        return name, value


def to_layout(given: dict[str, Any]) -> SubtitleLayout:
    """Remove the values of `layout_options` from *given* and return them; 0 becomes None."""
    from asrlab.transcript import SubtitleLayout

    names = ("max_line_length", "max_lines", "max_chars_per_second", "min_duration")
    chosen: dict[str, Any] = {name: given.pop(name) or None for name in names}
    return SubtitleLayout(**chosen)


def to_comparison_options(given: dict[str, Any]) -> dict[str, Any]:
    """Return *given* with the resampling of the bootstrap in place of its two options."""
    from asrlab.evaluation.metrics import Resampling

    return given | {"resampling": Resampling(resamples=given.pop("resamples"), seed=given.pop("seed"))}
