"""Checks that repeated, streamed, batched and concurrent transcription agree."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.errors import AudioError
from asrlab.options import Batching
from asrlab.testing.conformance.check import Check, CheckContext, describe_error, format_segments
from asrlab.transcript import TranscribeResult

_NOT_AUDIO = b"this is not audio"
_BARRIER_TIMEOUT_S = 300.0
_ADVICE = "give the same text for the same audio, or set deterministic=False in the target"


def _is_not_deterministic(context: CheckContext) -> str:
    return "" if context.target.deterministic else "the target does not claim to be deterministic"


def _same(context: CheckContext) -> Iterator[str]:
    first, second = format_segments(context.transcript.segments), format_segments(context.second_transcript.segments)
    if not context.is_deterministic:
        yield f"the same audio gave {first} and then {second}; {_ADVICE}"


def _stream(context: CheckContext) -> Iterator[str]:
    stream = context.transcriber.stream(context.speech)
    streamed, whole, once = (
        format_segments(stream),
        format_segments(stream.transcript.segments),
        format_segments(context.transcript.segments),
    )
    if streamed != whole:
        yield f"stream gave {streamed}, but its transcript {whole}; report this to asrlab"
    elif context.is_deterministic and streamed != once:
        yield f"stream gave {streamed}, but transcribe {once}; make recognize() give the same in both"


def _half(context: CheckContext) -> Audio:
    samples = context.speech.samples
    return Audio(samples=samples[: len(samples) // 2], sample_rate=SAMPLE_RATE)


def _many(context: CheckContext) -> Iterator[str]:
    items = (context.speech, _NOT_AUDIO, _half(context))
    # only the thread that simulates a device can compute on it, and batches have their own threads
    batching = Batching(batch_size=1) if context.target.simulated else None
    results = list(context.transcriber.transcribe_many(items, batching=batching))
    if [result.index for result in results] != [0, 1, 2]:
        yield f"3 items gave the results {[result.index for result in results]}; yield one for each, in order"
        return
    for result, item in zip(results, items, strict=True):
        yield from _result_errors(result, item)
    if not isinstance(results[1].error, AudioError):
        yield f"an item that is not audio gave {results[1].error!r}; its result must have an AudioError"


def _result_errors(result: TranscribeResult, item: object) -> Iterator[str]:
    if result.item is not item:
        yield f"result {result.index} has another item than the given one; keep items with their results"
    elif isinstance(item, Audio) and result.transcript is None:
        reason = describe_error(result.error) if result.error else "no transcript"
        yield f"item {result.index} failed after another item failed ({reason}); keep items independent"
    elif isinstance(item, Audio) and abs(result.transcript.duration - item.duration) > 0.01:  # type: ignore[union-attr]
        yield f"result {result.index} has the transcript of another item; keep the order"


def _concurrent(context: CheckContext) -> Iterator[str]:
    audios = (context.speech, _half(context))
    sequential = [
        format_segments(context.transcript.segments),
        format_segments(context.transcriber.transcribe(audios[1]).segments),
    ]
    barrier = Barrier(len(audios), timeout=_BARRIER_TIMEOUT_S)

    def transcribe(audio: Audio) -> str:
        barrier.wait()
        return format_segments(context.transcriber.transcribe(audio).segments)

    with ThreadPoolExecutor(len(audios)) as pool:
        futures = [pool.submit(transcribe, audio) for audio in audios]
        errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        yield f"two threads at once: {describe_error(errors[0])}; hold a lock in recognize() around shared state"
        return
    concurrent = [future.result() for future in futures]
    if context.is_deterministic and concurrent != sequential:
        yield (
            f"two threads at once gave {concurrent}, one after the other {sequential}; keep the state of a recording "
            "out of the recognizer, or hold a lock in recognize()"
        )


CHECKS = (
    Check(
        name="same-again",
        description="The same audio gives the same transcript in a second call.",
        find_problems=_same,
        skip_reason=_is_not_deterministic,
    ),
    Check(name="stream", description="A stream gives the segments that transcribe gives.", find_problems=_stream),
    Check(
        name="many",
        description="An item that fails does not affect the others, and results are in the order of the items.",
        find_problems=_many,
    ),
    Check(
        name="at-once",
        description="Two concurrent calls give the results of sequential calls.",
        find_problems=_concurrent,
        skip_reason=lambda context: "only one thread can use a simulated device" if context.target.simulated else "",
    ),
)
