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
from .lane import Tally
from .tables import boundaries_table, faults_table, kills_table
from .witness import Findings

_ROOT = Path(__file__).resolve().parents[2]
_EVERY = 50
_REAL = ("faster-whisper/base", "smoke", ("--device", "cpu"))


def main() -> None:
    """Run all kills in a temporary folder; exit with 1 if a run lost anything."""
    given = _arguments()
    record: dict[str, Any] = {}
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, {sys.platform}, seed {given.seed}")
    with TemporaryDirectory(prefix="asrlab-durability-") as name:
        folder = Path(name).resolve()
        wrong = sum(part(given, folder, record) for part in (_kills, _boundaries, _faults, _real))
    if given.json:
        given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"\n{'nothing was lost' if not wrong else f'{wrong} things were wrong'}")
    sys.exit(1 if wrong else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durability", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="at random times (default: %(default)s)")
    parser.add_argument("--model", default="echo", help="for them (default: %(default)s)")
    parser.add_argument("--dataset", help="for them (default: clips that are written)")
    parser.add_argument("--utterances", type=int, default=200, help="how many clips (default: %(default)s)")
    parser.add_argument(
        "--share", type=float, default=0.2,
        help="of the kills that hit the command line, not a fork, which starts sooner (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--real-kills", type=int, default=0, help=f"the same with {_REAL[0]} on {_REAL[1]}")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="runs at once, each killed")
    parser.add_argument("--no-boundaries", action="store_true", help="leave out the write boundaries")
    parser.add_argument("--no-faults", action="store_true", help="leave out the engines that crash")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds until one hangs (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer write boundaries, all faults in one run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args()


def _kills(given: argparse.Namespace, folder: Path, record: dict[str, Any]) -> int:
    if not given.kills:
        return 0
    dataset = given.dataset or str(write_clips(folder / "clips", given.utterances))
    dataset_name = given.dataset or f"{given.utterances} clips of 2.1 s"
    begun = time.monotonic()
    work = ("--share", str(given.share), given.model, dataset)
    tally = _in_lanes(folder / "kills", given, given.kills, work)
    return _shown(
        kills_table(tally, what=f"{given.model}, {dataset_name}", seconds=time.monotonic() - begun),
        record, "kills", tally, tally.wrong,
    )  # fmt: skip


def _real(given: argparse.Namespace, folder: Path, record: dict[str, Any]) -> int:
    if not given.real_kills:
        return 0
    model, dataset, options = _REAL
    begun = time.monotonic()
    tally = _in_lanes(folder / "real", given, given.real_kills, ("--share", "1", model, dataset, "--", *options))
    return _shown(
        kills_table(tally, what=f"{model}, {dataset}", seconds=time.monotonic() - begun),
        record, "real_kills", tally, tally.wrong,
    )  # fmt: skip


def _in_lanes(folder: Path, given: argparse.Namespace, kills: int, work: tuple[str, ...]) -> Tally:
    """Run the kills in as many processes as there are jobs."""
    jobs = min(given.jobs, kills)
    made = 0

    def count() -> None:
        nonlocal made
        made += 1
        if made % _EVERY == 0:
            print(f"{made} of {kills} kills", file=sys.stderr, flush=True)

    def lane(number: int) -> Tally:
        own = folder / f"lane-{number}"
        own.mkdir(parents=True)
        mine = kills // jobs + (number < kills % jobs)
        head = ("--kills", str(mine), "--seed", f"{given.seed}-{number}", "--folder", str(own))
        last = _answer("lane", (*head, *work), each=count)
        last.pop("spans")
        return Tally.from_plain(last)

    whole = Tally()
    with ThreadPoolExecutor(jobs) as pool:
        for tally in pool.map(lane, range(jobs)):
            whole.add(tally)
    return whole


def _boundaries(given: argparse.Namespace, folder: Path, record: dict[str, Any]) -> int:
    if given.no_boundaries:
        return 0
    (folder / "boundaries").mkdir()
    how = ("--quick", "--first-kills", "0") if given.quick else ("--first-kills", "12")
    begun = time.monotonic()
    print("write boundaries", file=sys.stderr, flush=True)
    plain = _answer("boundaries", ("--utterances", "2", "--folder", str(folder / "boundaries"), *how))
    done = Boundaries(**{**plain, "findings": Findings(**plain["findings"])})
    table = boundaries_table(done, seconds=time.monotonic() - begun)
    return _shown(table, record, "boundaries", done, done.failures)


def _faults(given: argparse.Namespace, folder: Path, record: dict[str, Any]) -> int:
    if given.no_faults:
        return 0
    print("faults", file=sys.stderr, flush=True)
    cases: list[tuple[str, ...]] = [] if given.quick else [(each,) for each in CULPRITS]
    faults: list[Fault] = []
    for culprits in (*cases, tuple(CULPRITS)):
        own = folder / f"faults-{len(faults)}"
        own.mkdir()
        faults.append(provoke(own, culprits, timeout=given.timeout))
    wrong = sum(fault.innocents_lost + fault.wrong for fault in faults)
    return _shown(faults_table(faults, timeout=given.timeout), record, "faults", faults, wrong)


def _shown(table: Iterable[str], record: dict[str, Any], name: str, found: Any, wrong: int) -> int:
    print("\n" + "\n".join(table), flush=True)
    record[name] = [attrs.asdict(each) for each in found] if isinstance(found, list) else attrs.asdict(found)
    return wrong


def _answer(module: str, arguments: tuple[str, ...], *, each: Callable[[], object] = bool) -> dict[str, Any]:
    """Return the last line of a process of this package as JSON; call *each* with every line before."""
    offline = {"ASRLAB_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", f"benchmarks.durability.{module}", *arguments]
    with subprocess.Popen(command, cwd=_ROOT, env=os.environ | offline, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            each()
    if process.returncode:
        sys.exit(f"{module} ended with {process.returncode}")
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


if __name__ == "__main__":
    main()
