"""``asrlab verify``: check documents against recorded evidence, and evidence against a repetition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import DONE, SOME_FAILED, Command

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.evaluation.claims.verify import ReproductionReport, Verification

EPILOG = """\b
Examples:
  asrlab verify README.md docs/
  asrlab verify README.md docs/ --write
  asrlab verify --rerun evidence/smoke-base.jsonl

\b
Exit codes: 0 every claim has its record, or the repetition agrees; 1 a
claim has none, or the repetition differs; 4 a document or a record
cannot be read, or the record cannot be repeated here.
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("documents", nargs=-1, type=options.FilePath())
@click.option("--evidence", type=options.FilePath(), help="The folder of records; evidence/ if not given.")
@options.flag("--write", description="Update generated tables and figures.")
@click.option("--rerun", "record", type=options.FilePath(), help="Repeat this exported run here.")
@click.option("--device", help="With --rerun: the device; the recorded one if not given.")
@options.flag("--offline", description="With --rerun: fetch no weights over the network.")
@options.as_json
def verify(
    documents: tuple[Path, ...],
    *,
    evidence: Path | None,
    write: bool,
    record: Path | None,
    device: str | None,
    offline: bool,
    as_json: bool,
) -> int:
    """Check DOCUMENTS, Markdown files and folders of them, against recorded evidence.

    Text that is generated from records must equal what they give. Any other figure about a model or speed, and any
    word about what works, must be backed by a record, or is reported with file, line and column.
    """
    if bool(documents) == (record is not None):
        raise click.UsageError("give documents, or a record with --rerun")
    if record is None and (device or offline):
        raise click.UsageError("--device and --offline need --rerun")
    if record is not None and (write or evidence):
        raise click.UsageError("--write and --evidence need documents, not --rerun")
    if record is not None:
        return _rerun(record, device, offline=offline, as_json=as_json)
    import asrlab.evaluation.claims.verify
    from asrlab.cli.output import echo_json

    verification = asrlab.evaluation.claims.verify.verify(documents, evidence=evidence, write=write)
    if as_json:
        echo_json(_to_plain(verification))
    else:
        _show(verification)
    return SOME_FAILED if verification.findings else DONE


def _show(verification: Verification) -> None:
    from asrlab.evaluation.reports.formatting import format_count

    for finding in verification.findings:
        click.echo(str(finding))
    for path, waiver in verification.waivers:
        figures = ", ".join(waiver.figures) or "nothing; remove the marker"
        click.echo(f"{path}:{waiver.line}: allowed: {figures} ({waiver.reason})")
    for path in verification.written:
        click.echo(f"{path}: updated")
    generated = format_count(verification.n_generated, "generated part")
    counts = (
        format_count(len(verification.documents), "document"),
        f"{generated} from {format_count(len(verification.records), 'record')}",
    )
    click.echo(f"{', '.join(counts)}: {format_count(len(verification.findings), 'finding')}")


def _to_plain(verification: Verification) -> dict[str, Any]:
    from pathlib import Path

    import attrs

    plain = attrs.asdict(
        verification,
        filter=lambda attribute, _: attribute.name != "waivers",
        value_serializer=lambda _instance, _attribute, value: str(value) if isinstance(value, Path) else value,
    )
    waivers = [
        {"path": str(path), "line": waiver.line, "reason": waiver.reason, "figures": waiver.figures}
        for path, waiver in verification.waivers
    ]
    return plain | {"waivers": waivers}


def _rerun(record: Path, device: str | None, *, offline: bool, as_json: bool) -> int:
    from asrlab.cli.output import echo_json
    from asrlab.errors import DatasetError
    from asrlab.evaluation.claims.verify import rerun

    if not record.exists():
        raise DatasetError(f"record {record} not found; name an exported run, such as evidence/NAME.jsonl", path=record)
    reproduction = rerun(record, device=device, offline=offline)
    if as_json:
        echo_json(_plain_reproduction(reproduction))
    else:
        click.echo("\n".join(reproduction.lines()))
    return DONE if reproduction.reproduced else SOME_FAILED


def _plain_reproduction(reproduction: ReproductionReport) -> dict[str, Any]:
    import attrs

    return {
        "record": str(reproduction.record),
        "reproduced": reproduction.reproduced,
        "machine_then": attrs.asdict(reproduction.then.machine),
        "machine_now": attrs.asdict(reproduction.now.machine),
        "models": [
            {
                "model": model.model,
                "reproduced": model.reproduced,
                "same_texts": model.same_texts,
                "utterances": len(model.then.utterances),
                "wer_difference": model.wer_difference,
                "wer_tolerance": model.tolerance,
                "speed_ratio": model.speed_ratio,
                "differences": list(model.differences),
            }
            for model in reproduction.models
        ],
    }
