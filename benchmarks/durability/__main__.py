"""``python -m benchmarks.durability``: kill runs, print the losses, and fail if there are any."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from .boundaries import Boundaries
from .clips import write_clips
from .faults import CULPRITS, Fault, provoke
from .killer import Tally
from .ledger_observer import Findings
from .tables import boundaries_table, faults_table, kills_table

_ROOT = Path(__file__).resolve().parents[2]
_PROGRESS_INTERVAL = 50
_REAL_RUN = ("faster-whisper/base", "smoke", ("--device", "cpu"))


def main() -> None:
    """Run all kills in a temporary folder; exit with 1 if there are findings."""
    arguments = _parse_arguments()
    record: dict[str, Any] = {}
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, {sys.platform}, seed {arguments.seed}")
    with TemporaryDirectory(prefix="asrlab-durability-") as name:
        folder = Path(name).resolve()
        parts = (_kills, _boundaries, _faults, _real_kills)
        failures = sum(part(arguments, folder, record) for part in parts)
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"\n{'nothing was lost' if not failures else f'{failures} findings'}")
    sys.exit(1 if failures else 0)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durability", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=1000, help="number of kills at random times (default: %(default)s)"
    )
    parser.add_argument("--model", default="echo", help="model of the random kills (default: %(default)s)")
    parser.add_argument("--dataset", help="data set of the random kills (default: generated clips)")
    parser.add_argument("--utterances", type=int, default=200, help="number of generated clips (default: %(default)s)")
    parser.add_argument(
        "--share", type=float, default=0.2,
        help="share of kills of the command line; the others kill a fork, which starts faster (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--real-kills", type=int, default=0, help=f"number of kills with {_REAL_RUN[0]} on {_REAL_RUN[1]}"
    )
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="number of concurrent runs")
    parser.add_argument("--no-boundaries", action="store_true", help="skip the write boundaries")
    parser.add_argument("--no-faults", action="store_true", help="skip the engines that crash")
    parser.add_argument(
        "--timeout", type=float, default=5.0, help="seconds until an utterance counts as hanging (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer write boundaries, all faults in one run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    return parser.parse_args()


def _kills(arguments: argparse.Namespace, folder: Path, record: dict[str, Any]) -> int:
    if not arguments.kills:
        return 0
    dataset = arguments.dataset or str(write_clips(folder / "clips", arguments.utterances))
    dataset_name = arguments.dataset or f"{arguments.utterances} clips of 2.1 s"
    start = time.monotonic()
    options = ("--share", str(arguments.share), arguments.model, dataset)
    tally = _kill_in_parallel(folder / "kills", arguments, arguments.kills, options)
    return _report(
        kills_table(tally, title=f"{arguments.model}, {dataset_name}", seconds=time.monotonic() - start),
        record, "kills", tally, tally.wrong,
    )  # fmt: skip


def _real_kills(arguments: argparse.Namespace, folder: Path, record: dict[str, Any]) -> int:
    if not arguments.real_kills:
        return 0
    model, dataset, options = _REAL_RUN
    start = time.monotonic()
    tally = _kill_in_parallel(
        folder / "real", arguments, arguments.real_kills, ("--share", "1", model, dataset, "--", *options)
    )
    return _report(
        kills_table(tally, title=f"{model}, {dataset}", seconds=time.monotonic() - start),
        record, "real_kills", tally, tally.wrong,
    )  # fmt: skip


def _kill_in_parallel(folder: Path, arguments: argparse.Namespace, kills: int, options: tuple[str, ...]) -> Tally:
    """Run the kills in as many processes as there are jobs."""
    jobs = min(arguments.jobs, kills)
    count = 0

    def count_kill() -> None:
        nonlocal count
        count += 1
        if count % _PROGRESS_INTERVAL == 0:
            print(f"{count} of {kills} kills", file=sys.stderr, flush=True)

    def run_killer(number: int) -> Tally:
        own_folder = folder / f"killer-{number}"
        own_folder.mkdir(parents=True)
        own_kills = kills // jobs + (number < kills % jobs)
        head = ("--kills", str(own_kills), "--seed", f"{arguments.seed}-{number}", "--folder", str(own_folder))
        result = _run_module("killer", (*head, *options), on_line=count_kill)
        result.pop("spans")
        return Tally.from_plain(result)

    total = Tally()
    with ThreadPoolExecutor(jobs) as pool:
        for tally in pool.map(run_killer, range(jobs)):
            total.add(tally)
    return total


def _boundaries(arguments: argparse.Namespace, folder: Path, record: dict[str, Any]) -> int:
    if arguments.no_boundaries:
        return 0
    (folder / "boundaries").mkdir()
    options = ("--quick", "--first-kills", "0") if arguments.quick else ("--first-kills", "12")
    start = time.monotonic()
    print("write boundaries", file=sys.stderr, flush=True)
    plain = _run_module("boundaries", ("--utterances", "2", "--folder", str(folder / "boundaries"), *options))
    result = Boundaries(**{**plain, "findings": Findings(**plain["findings"])})
    table = boundaries_table(result, seconds=time.monotonic() - start)
    return _report(table, record, "boundaries", result, result.failures)


def _faults(arguments: argparse.Namespace, folder: Path, record: dict[str, Any]) -> int:
    if arguments.no_faults:
        return 0
    print("faults", file=sys.stderr, flush=True)
    cases: list[tuple[str, ...]] = [] if arguments.quick else [(culprit,) for culprit in CULPRITS]
    faults: list[Fault] = []
    for culprits in (*cases, tuple(CULPRITS)):
        own_folder = folder / f"faults-{len(faults)}"
        own_folder.mkdir()
        faults.append(provoke(own_folder, culprits, timeout=arguments.timeout))
    failures = sum(fault.innocents_lost + fault.wrong for fault in faults)
    return _report(faults_table(faults, timeout=arguments.timeout), record, "faults", faults, failures)


def _report(table: Iterable[str], record: dict[str, Any], name: str, result: Any, failures: int) -> int:
    print("\n" + "\n".join(table), flush=True)
    record[name] = [attrs.asdict(item) for item in result] if isinstance(result, list) else attrs.asdict(result)
    return failures


def _run_module(module: str, arguments: tuple[str, ...], *, on_line: Callable[[], object] = bool) -> dict[str, Any]:
    """Run a module of this package and return its last line as JSON; call *on_line* after each line."""
    offline = {"ASRLAB_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", f"benchmarks.durability.{module}", *arguments]
    with subprocess.Popen(command, cwd=_ROOT, env=os.environ | offline, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            on_line()
    if process.returncode:
        sys.exit(f"{module} ended with {process.returncode}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


if __name__ == "__main__":
    main()
