"""Checks that the ways to transcribe agree: again, in a stream, together, at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.errors import AudioError
from asrlab.options import Batching
from asrlab.testing.conformance.check import Check, told
from asrlab.testing.conformance.context import CheckContext, heard
from asrlab.transcript import TranscribeResult

_BAD = b"this is no audio"
_LIMIT_S = 300.0
_SAME = "give the same for the same audio, or say deterministic=False in the subject"


def _claims_no_determinism(case: CheckContext) -> str:
    return "" if case.subject.deterministic else "the subject claims no determinism"


def _same(case: CheckContext) -> Iterator[str]:
    first, second = heard(case.transcript.segments), heard(case.again.segments)
    if not case.repeats:
        yield f"the same audio gave {first} and then {second}; {_SAME}"


def _stream(case: CheckContext) -> Iterator[str]:
    stream = case.transcriber.stream(case.speech)
    streamed, whole, once = heard(stream), heard(stream.transcript.segments), heard(case.transcript.segments)
    if streamed != whole:
        yield f"stream gave {streamed}, its transcript {whole}; leave stream() as it is"
    elif case.repeats and streamed != once:
        yield f"stream gave {streamed}, transcribe {once}; leave both as they are, and write recognize()"


def _half(case: CheckContext) -> Audio:
    samples = case.speech.samples
    return Audio(samples=samples[: len(samples) // 2], sample_rate=SAMPLE_RATE)


def _many(case: CheckContext) -> Iterator[str]:
    items = (case.speech, _BAD, _half(case))
    # on a simulated device only the thread that simulates it can compute, and batches have their own
    together = Batching(batch_size=1) if case.subject.simulated else None
    outcomes = list(case.transcriber.transcribe_many(items, batching=together))
    if [outcome.index for outcome in outcomes] != [0, 1, 2]:
        yield f"3 items gave the outcomes {[outcome.index for outcome in outcomes]}; give one for each, in their order"
        return
    for outcome, item in zip(outcomes, items, strict=True):
        yield from _misplaced(outcome, item)
    if not isinstance(outcomes[1].error, AudioError):
        yield f"what is no audio gave {outcomes[1].error!r}; its outcome must hold an AudioError"


def _misplaced(outcome: TranscribeResult, item: object) -> Iterator[str]:
    if outcome.item is not item:
        yield f"outcome {outcome.index} holds another item than was given; keep items with their outcomes"
    elif isinstance(item, Audio) and outcome.transcript is None:
        said = told(outcome.error) if outcome.error else "no transcript"
        yield f"item {outcome.index} failed beside a bad one ({said}); let no item spoil another"
    elif isinstance(item, Audio) and abs(outcome.transcript.duration - item.duration) > 0.01:  # type: ignore[union-attr]
        yield f"outcome {outcome.index} has the transcript of another item; keep the order"


def _at_once(case: CheckContext) -> Iterator[str]:
    audios = (case.speech, _half(case))
    alone = [heard(case.transcript.segments), heard(case.transcriber.transcribe(audios[1]).segments)]
    barrier = Barrier(len(audios), timeout=_LIMIT_S)

    def one(audio: Audio) -> str:
        barrier.wait()
        return heard(case.transcriber.transcribe(audio).segments)

    with ThreadPoolExecutor(len(audios)) as pool:
        under_way = [pool.submit(one, audio) for audio in audios]
        errors = [error for each in under_way if (error := each.exception()) is not None]
    if errors:
        yield f"two threads at once: {told(errors[0])}; hold a lock in recognize() around what cannot be shared"
        return
    together = [each.result() for each in under_way]
    if case.repeats and together != alone:
        yield (
            f"two threads at once heard {together}, one after the other {alone}; keep what belongs to a recording out "
            "of the transcriber, or hold a lock in recognize()"
        )


CHECKS = (
    Check(
        name="same-again",
        sentence="The same audio gives the same transcript again.",
        problems=_same,
        unless=_claims_no_determinism,
    ),
    Check(name="stream", sentence="A stream gives what transcribe gives.", problems=_stream),
    Check(name="many", sentence="Of many items a bad one spoils no other, and their order is kept.", problems=_many),
    Check(
        name="at-once",
        sentence="Two threads at once hear what each hears alone.",
        problems=_at_once,
        unless=lambda case: "only one thread can use a simulated device" if case.subject.simulated else "",
    ),
)
