"""``asrlab verify``: documents held against records, and records held against a repetition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from asrlab.cli import exit_codes
from asrlab.cli.options import as_json, echo_json

if TYPE_CHECKING:
    from asrlab.evaluation.claims.rerun import ModelReproduction, ReproductionReport
    from asrlab.evaluation.claims.verify import ClaimFinding, Verification

EPILOG = """\b
Examples:
  asrlab verify README.md docs/
  asrlab verify README.md docs/ --write
  asrlab verify --rerun evidence/smoke-base.jsonl

\b
Exit codes: 0 nothing is said that the records do not say, or the
repetition agrees; 1 something is, or it does not; 4 a document or a
record cannot be read, or the record cannot be repeated here.
"""


@click.command(epilog=EPILOG)
@click.argument("documents", nargs=-1, type=click.Path(path_type=Path))
@click.option("--evidence", type=click.Path(path_type=Path), help="The folder of records; evidence/ if not given.")
@click.option("--write", is_flag=True, help="Bring generated tables and figures up to date.")
@click.option("--rerun", "record", type=click.Path(path_type=Path), help="Repeat this exported run here.")
@click.option("--device", help="With --rerun: where; what was asked for then if not given.")
@click.option("--offline", is_flag=True, help="With --rerun: fetch no weights over the network.")
@as_json
def verify(
    documents: tuple[Path, ...],
    evidence: Path | None,
    write: bool,
    record: Path | None,
    device: str | None,
    offline: bool,
    as_json: bool,
) -> int:
    """Hold DOCUMENTS, Markdown files and folders of them, against the records under evidence/.

    What is generated from records must be what they give. Any other figure about a model or speed, and any word
    about what works, must be backed by a record, or is told with file, line and column.
    """
    if bool(documents) == (record is not None):
        raise click.UsageError("give documents, or a record with --rerun")
    if record is None and (device or offline):
        raise click.UsageError("--device and --offline go with --rerun")
    if record is not None and (write or evidence):
        raise click.UsageError("--write and --evidence go with documents")
    if record is not None:
        return _rerun(record, device, offline=offline, plain=as_json)
    return _verify(documents, evidence, write=write, plain=as_json)


def _verify(documents: tuple[Path, ...], evidence: Path | None, *, write: bool, plain: bool) -> int:
    from asrlab.evaluation.claims.verify import verify as run

    done = run(documents, evidence=evidence, write=write)
    if plain:
        echo_json(_plain(done))
    else:
        _show(done)
    return exit_codes.SOME_FAILED if done.findings else exit_codes.DONE


def _show(done: Verification) -> None:
    for finding in done.findings:
        click.echo(str(finding))
    for allowed in done.allowed:
        click.echo(str(allowed))
    for path in done.written:
        click.echo(f"{path}: brought up to date")
    ties = f"{_count(done.ties, 'tie')} to {_count(len(done.records), 'record')}"
    click.echo(f"{_count(len(done.documents), 'document')}, {ties}: {_count(len(done.findings), 'finding')}")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _plain(done: Verification) -> dict[str, Any]:
    return {
        "documents": [str(path) for path in done.documents],
        "records": list(done.records),
        "ties": done.ties,
        "findings": [_plain_finding(finding) for finding in done.findings],
        "allowed": [attrs.asdict(allowed) | {"path": str(allowed.path)} for allowed in done.allowed],
        "written": [str(path) for path in done.written],
    }


def _plain_finding(finding: ClaimFinding) -> dict[str, Any]:
    return attrs.asdict(finding) | {"path": str(finding.path)}


def _rerun(record: Path, device: str | None, *, offline: bool, plain: bool) -> int:
    from asrlab.errors import DatasetError
    from asrlab.evaluation.claims.rerun import rerun

    if not record.exists():
        raise DatasetError(
            f"there is no record {record}; name an exported run, such as evidence/NAME.jsonl", path=record
        )
    agreement = rerun(record, device=device, offline=offline)
    if plain:
        echo_json(_plain_agreement(agreement))
    else:
        for line in agreement.lines():
            click.echo(line)
    return exit_codes.DONE if agreement.agrees else exit_codes.SOME_FAILED


def _plain_agreement(agreement: ReproductionReport) -> dict[str, Any]:
    return {
        "record": str(agreement.record),
        "agrees": agreement.agrees,
        "machine_then": attrs.asdict(agreement.then.machine),
        "machine_now": attrs.asdict(agreement.now.machine),
        "models": [_plain_model(model) for model in agreement.models],
    }


def _plain_model(model: ModelReproduction) -> dict[str, Any]:
    return {
        "model": model.model,
        "agrees": model.agrees,
        "same_texts": model.same_texts,
        "utterances": len(model.then.utterances),
        "wer_difference": model.wer_difference,
        "wer_tolerance": model.tolerance,
        "speed_ratio": model.speed_ratio,
        "differences": list(model.differences),
    }
