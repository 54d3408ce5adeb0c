"""One item on its way through: the recording, the pieces it is decoded in, and the transcript they make."""

from __future__ import annotations

from typing import Any

import attrs

from asrlab.batching.backend import Decoded, Detected
from asrlab.batching.reader import ChunkReader, Clip
from asrlab.batching.request import BatchedRecording
from asrlab.transcript import DecodingPath, Segment, TranscriptWarning


@attrs.define(kw_only=True, eq=False)
class Task:
    """A piece on its way through a batch.

    Attributes:
        recording: What it is of.
        clip: Its audio.
        busy: Seconds of work that fall to it so far.
        language: None before it is known.
        decoded: None before it was decoded.
        reason: Why it must go through the full path; None if it need not.
        segments: What stands in the end, in seconds from the start of the recording; None before that.
        warnings: Those of the full path.
    """

    recording: Recording
    clip: Clip
    busy: float
    language: Detected | None = None
    decoded: Decoded | None = None
    reason: str | None = None
    segments: tuple[Segment, ...] | None = None
    warnings: tuple[TranscriptWarning, ...] = ()


@attrs.define(kw_only=True, eq=False)
class Recording:
    """An item's place in the order, and what is known of it.

    A long recording's language is that of its first piece, as in the engines.

    Attributes:
        index: From 0.
        item: As it came.
        audio: Its source.
        intake: None where it goes through the full path from the start.
        tasks: Its pieces, in order.
        ended: Whether it has its outcome already.
    """

    index: int
    item: Any
    audio: Any = None
    intake: ChunkReader | None = None
    tasks: list[Task] = attrs.field(factory=list)
    ended: bool = False

    def add(self, clip: Clip) -> Task:
        """*clip*, to be decoded."""
        task = Task(recording=self, clip=clip, busy=clip.busy)
        self.tasks.append(task)
        return task

    @property
    def language(self) -> Detected | None:
        """That of its first piece, once that has been decoded."""
        first = self.tasks[0] if self.tasks else None
        return None if first is None or first.segments is None else first.language

    def close(self) -> None:
        """Let go of the audio."""
        if self.intake is not None:
            self.intake.close()

    def forget(self) -> None:
        """Let go of its pieces: they hold it in turn, so that their audio would stay until garbage is collected."""
        self.tasks = []

    @property
    def done(self) -> bool:
        """Whether all of it has been read and decoded."""
        return self.intake is not None and self.intake.over and all(task.segments is not None for task in self.tasks)

    def result(self) -> BatchedRecording:
        """Join the chunks."""
        assert self.intake is not None and self.intake.reader is not None  # noqa: PT018, S101 - it was read
        language, skipped, reader = self.language, self.intake.skipped, self.intake.reader
        warnings = [warning for task in self.tasks for warning in task.warnings]
        return BatchedRecording(
            reader=reader,
            segments=tuple(segment for task in self.tasks for segment in task.segments or ()),
            language=language.language if language else None,
            language_probability=language.probability if language else None,
            warnings=(*(skipped.warnings() if skipped else ()), *warnings),
            busy_s=reader.decoding_time + sum(task.busy for task in self.tasks),
            decoding=DecodingPath(
                batched=True,
                chunks=len(self.tasks),
                fallback_reasons=tuple(task.reason for task in self.tasks if task.reason is not None),
            ),
        )
