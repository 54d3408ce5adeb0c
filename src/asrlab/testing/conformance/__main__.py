"""``python -m asrlab.testing.conformance``."""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path

import click

from asrlab.errors import AsrlabError
from asrlab.terminal import run_guarded
from asrlab.terminal.screen import open_screen
from asrlab.testing.conformance.check import Verdict
from asrlab.testing.conformance.process import run_in_subprocess
from asrlab.testing.conformance.results import Result, show
from asrlab.testing.conformance.session import verdicts_of
from asrlab.testing.conformance.target import Target

_USAGE = 2


EPILOG = """\b
Examples:
  python -m asrlab.testing.conformance my-engine/small
  python -m asrlab.testing.conformance openai-whisper/base --device cpu --device mps-sim

\b
Exit codes: 0 all conform, 1 a check failed, 2 usage.
"""


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("-d", "--device", "devices", multiple=True, default=("cpu",), help="cpu, cuda, mps or mps-sim; several.")
@click.option("--compute-type", default="auto", show_default=True, help="Such as int8 or float32.")
@click.option("--weights", type=click.Path(path_type=Path), help="A folder or file of weights.")
@click.option(
    "--speech", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A recording to transcribe."
)
@click.option("--online", is_flag=True, help="Weights may be fetched over the network.")
@click.option("--random", is_flag=True, help="The same audio may give another text each time.")
@click.option("--limit", "limit_s", default=600.0, show_default=True, help="Seconds that a model on a device may take.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def main(models: tuple[str, ...], devices: tuple[str, ...], as_json: bool, limit_s: float, **choices: object) -> None:  # noqa: FBT001 - click passes options by keyword
    """Check that MODELs keep to what asrlab's users may rely on, and print what failed and why.

    mps-sim is MPS simulated on the CPU. Each model on each device is checked in a process of its own.
    """
    try:
        subjects = [_subject(model, device, limit_s, choices) for device in devices for model in models]
    except AsrlabError as error:
        click.echo(f"asrlab: {error.message}", err=True)
        sys.exit(_USAGE)
    results = [_result(subject) for subject in sorted(subjects, key=lambda subject: models.index(subject.model))]
    if as_json:
        click.echo(json.dumps({"subjects": [result.as_dict() for result in results]}, indent=2))
    else:
        show(results, open_screen())
    sys.exit(0 if all(result.conforms for result in results) else 1)


def _subject(model: str, device: str, limit_s: float, choices: dict[str, object]) -> Target:
    online, random = choices["online"], choices["random"]
    given = {name: choices[name] for name in ("compute_type", "weights", "speech")}
    return Target(
        model=model,
        device=device,
        limit_s=limit_s,
        offline=not online,
        deterministic=not random,
        **given,  # type: ignore[arg-type] # as click read them
    )


def _result(subject: Target) -> Result:
    start = time.monotonic()
    verdicts: tuple[Verdict, ...] = ()
    error = ""
    try:
        verdicts = run_in_subprocess(verdicts_of, subject, limit_s=subject.limit_s)
    except AsrlabError as failure:
        error = failure.message
    return Result(subject=subject, verdicts=verdicts, error=error, seconds=round(time.monotonic() - start, 1))


if __name__ == "__main__":
    run_guarded(partial(main, prog_name="python -m asrlab.testing.conformance"))
