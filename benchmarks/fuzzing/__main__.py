"""``python -m benchmarks.fuzzing``: decode thousands of mutated files, none of which may do harm or lose audio."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import attrs
from benchmarks.records import load_average, write_record

from .containers import Original, written_by_ffmpeg, written_by_libsndfile
from .judging import FINDINGS, Result, judge
from .mutations import Mutation, mutate
from .report import findings_text, results_table
from .watch import WatchedDecoder

_SPEECH_S = 3.0
_PROGRESS = 500


@attrs.frozen(kw_only=True)
class Corpus:
    """The whole files, by container, and how long each decodes to.

    Attributes:
        originals: Those that asrlab decodes.
        seconds: What each of them decodes to.
        unknown: Containers that cannot be recognized by their content, in any of their codecs.
    """

    originals: dict[str, list[Original]]
    seconds: dict[bytes, float]
    unknown: tuple[str, ...]

    def mutated(self, seed: int, index: int) -> tuple[Original, Mutation]:
        """Return file number *index*: each container in turn, and each of its codecs in turn."""
        chance = Random(f"{seed}:{index}")  # noqa: S311 - repeatable, not secret
        containers = sorted(self.originals)
        codecs = self.originals[containers[index % len(containers)]]
        original = codecs[index // len(containers) % len(codecs)]
        other = chance.choice(self.originals[chance.choice(containers)])
        return original, mutate(original.data, other.data, chance)


def main() -> int:
    """Decode the mutated files and print the table; return 1 if there are findings."""
    arguments = _arguments()
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        corpus = _corpus(Path(folder) / "originals")
        indices = arguments.index or range(arguments.count)
        results = sorted(_results(corpus, indices, arguments, Path(folder)), key=lambda result: result.index)
    seconds = time.monotonic() - began
    table = results_table(results, corpus.unknown, seed=arguments.seed, seconds=seconds)
    print(table)
    print(findings_text(results), end="")
    found = [attrs.asdict(result) for result in results if result.verdict in FINDINGS]
    write_record(
        arguments.record, benchmark="fuzzing", table=table, seed=arguments.seed, findings=found, load=load_average()
    )
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzzing", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, metavar="N", help="files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the mutations (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="that decode (default: %(default)s)")
    parser.add_argument("--index", action="append", type=int, metavar="N", help="only this file; repeatable")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the files with findings there")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write table and findings there as JSON")
    return parser.parse_args()


def _corpus(folder: Path) -> Corpus:
    """Write every container and decode each once; those that are not recognized whole are left out."""
    decoder, kept, seconds = WatchedDecoder(folder), dict[str, list[Original]](), dict[bytes, float]()
    names = []
    for original in (*written_by_libsndfile(_SPEECH_S), *written_by_ffmpeg(_SPEECH_S)):
        names.append(original.container)
        outcome = decoder.decode(original.data)
        if outcome["outcome"] == "decoded":
            kept.setdefault(original.container, []).append(original)
            seconds[original.data] = outcome["seconds"]
    decoder.close()
    return Corpus(originals=kept, seconds=seconds, unknown=tuple(dict.fromkeys(n for n in names if n not in kept)))


def _results(
    corpus: Corpus, indices: range | list[int], arguments: argparse.Namespace, folder: Path
) -> Iterator[Result]:
    """Yield the results, from several processes."""
    shares = [indices[start :: arguments.processes] for start in range(arguments.processes)]
    done: list[Result] = []

    def work(number: int) -> None:
        decoder = WatchedDecoder(folder / str(number))
        try:
            for index in shares[number]:
                done.append(_result(corpus, index, arguments, decoder))
                if len(done) % _PROGRESS == 0:
                    found = sum(result.verdict in FINDINGS for result in done)
                    print(f"{len(done)} files, {found} findings", file=sys.stderr, flush=True)
        finally:
            decoder.close()

    with ThreadPoolExecutor(arguments.processes) as pool:
        for share in pool.map(work, range(arguments.processes)):
            del share
    yield from done


def _result(corpus: Corpus, index: int, arguments: argparse.Namespace, decoder: WatchedDecoder) -> Result:
    original, mutation = corpus.mutated(arguments.seed, index)
    outcome = decoder.decode(mutation.data)
    verdict = judge(
        outcome,
        container=original.container,
        mutation=mutation,
        whole=original.data,
        seconds=corpus.seconds[original.data],
    )
    if verdict in FINDINGS and arguments.keep is not None:
        arguments.keep.mkdir(exist_ok=True)
        (arguments.keep / f"{index}-{verdict.replace(' ', '-')}").write_bytes(mutation.data)
    return Result(
        index=index,
        container=original.container,
        codec=original.codec,
        mutation=mutation.kind,
        start=mutation.start,
        verdict=verdict,
        outcome=outcome,
    )


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
