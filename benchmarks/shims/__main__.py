"""``python -m benchmarks.shims NAME``: compare, print the table, write the record; fail if a field differs."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path

import attrs
from benchmarks.records import Table, write_record
from benchmarks.shims import SHIMS
from benchmarks.shims.comparison import Field, compare


def main() -> int:
    """Compare, print and write; return 1 if a field differs by more than rounding."""
    arguments = _parse_arguments()
    fields: list[Field] = []
    for example in import_module(SHIMS[arguments.shim]).examples():
        if (arguments.only or "") in example.name and not (arguments.quick and example.slow):
            start = time.process_time()
            fields += compare(example)
            print(f"{time.process_time() - start:5.1f} s  {example.name}", file=sys.stderr, flush=True)
    equal, close = sum(field.equal for field in fields), sum(field.close for field in fields)
    table = Table(
        title=f"{arguments.shim} and its drop-in replacement with the same weights: {equal} of {len(fields)} fields "
        f"are equal, {close} except for rounding",
        headings=("field", "upstream", "drop-in", "values", "equal"),
        rows=tuple(field.row for field in fields),
    )
    print(table)
    plain = [attrs.asdict(field) | {"equal": field.equal, "close": field.close} for field in fields]
    write_record(arguments.record, benchmark="shims", table=table, fields=plain)
    return 0 if close == len(fields) else 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shims", description=__doc__)
    parser.add_argument("shim", choices=sorted(SHIMS), help="the package that is replaced")
    parser.add_argument("--only", metavar="TEXT", help="only examples with TEXT in their names")
    parser.add_argument("--quick", action="store_true", help="skip slow examples that others nearly cover")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all fields to FILE as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
