"""``python -m benchmarks.fuzzing``: decode thousands of mutated files, and fail if there are findings."""

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
from .mutations import Mutation, mutate
from .report import findings_text, results_table
from .verdicts import FINDINGS, FuzzResult, judge
from .watched_decoder import WatchedDecoder

_SPEECH_S = 3.0
_PROGRESS_INTERVAL = 500


@attrs.frozen(kw_only=True)
class Corpus:
    """The original files by container, and their durations.

    Attributes:
        originals: The files that asrlab decodes.
        seconds: Decoded duration of each file.
        unknown: Containers that asrlab does not recognize by their content, with any codec.
    """

    originals: dict[str, list[Original]]
    seconds: dict[bytes, float]
    unknown: tuple[str, ...]

    def mutate(self, seed: int, index: int) -> tuple[Original, Mutation]:
        """Mutate file number *index*; the containers, and the codecs of each container, alternate."""
        random = Random(f"{seed}:{index}")  # noqa: S311 - reproducible, not secret
        containers = sorted(self.originals)
        codecs = self.originals[containers[index % len(containers)]]
        original = codecs[index // len(containers) % len(codecs)]
        other = random.choice(self.originals[random.choice(containers)])
        return original, mutate(original.data, other.data, random)


def main() -> int:
    """Decode the mutated files and print the table; return 1 if there are findings."""
    arguments = _parse_arguments()
    start = time.monotonic()
    with TemporaryDirectory() as folder:
        corpus = _create_corpus(Path(folder) / "originals")
        indices = arguments.index or range(arguments.count)
        results = sorted(_results(corpus, indices, arguments, Path(folder)), key=lambda result: result.index)
    seconds = time.monotonic() - start
    table = results_table(results, corpus.unknown, seed=arguments.seed, seconds=seconds)
    print(table)
    print(findings_text(results), end="")
    findings = [attrs.asdict(result) for result in results if result.verdict in FINDINGS]
    write_record(
        arguments.record, benchmark="fuzzing", table=table, seed=arguments.seed, findings=findings, load=load_average()
    )
    return 1 if findings else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzzing", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, metavar="N", help="number of files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the mutations (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="decoders (default: %(default)s)")
    parser.add_argument("--index", action="append", type=int, metavar="N", help="only this file; repeatable")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the files with findings to FOLDER")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write table and findings to FILE as JSON")
    return parser.parse_args()


def _create_corpus(folder: Path) -> Corpus:
    """Write a file of every container and codec, and keep those that asrlab decodes."""
    decoder, originals, seconds = WatchedDecoder(folder), dict[str, list[Original]](), dict[bytes, float]()
    names = []
    for original in (*written_by_libsndfile(_SPEECH_S), *written_by_ffmpeg(_SPEECH_S)):
        names.append(original.container)
        outcome = decoder.decode(original.data)
        if outcome["outcome"] == "decoded":
            originals.setdefault(original.container, []).append(original)
            seconds[original.data] = outcome["seconds"]
    decoder.close()
    unknown = tuple(dict.fromkeys(name for name in names if name not in originals))
    return Corpus(originals=originals, seconds=seconds, unknown=unknown)


def _results(
    corpus: Corpus, indices: range | list[int], arguments: argparse.Namespace, folder: Path
) -> Iterator[FuzzResult]:
    """Yield the results of several decoding processes."""
    shares = [indices[start :: arguments.processes] for start in range(arguments.processes)]
    results: list[FuzzResult] = []

    def decode_share(number: int) -> None:
        decoder = WatchedDecoder(folder / str(number))
        try:
            for index in shares[number]:
                results.append(_decode_mutated(corpus, index, arguments, decoder))
                if len(results) % _PROGRESS_INTERVAL == 0:
                    n_findings = sum(result.verdict in FINDINGS for result in results)
                    print(f"{len(results)} files, {n_findings} findings", file=sys.stderr, flush=True)
        finally:
            decoder.close()

    with ThreadPoolExecutor(arguments.processes) as pool:
        for share in pool.map(decode_share, range(arguments.processes)):
            del share
    yield from results


def _decode_mutated(corpus: Corpus, index: int, arguments: argparse.Namespace, decoder: WatchedDecoder) -> FuzzResult:
    original, mutation = corpus.mutate(arguments.seed, index)
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
    return FuzzResult(
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
