"""What the look-alikes of models share: a transcriber, closing it, and what to say of what they lack."""

from __future__ import annotations

from types import TracebackType
from typing import Any, ClassVar, Self

from asrlab.transcriber import Transcriber

__all__ = ["LookAlike"]


class LookAlike:
    """A transcriber with the face of another package's model. A context manager, which upstream's is not.

    Attributes:
        transcriber: What does the work, with all that asrlab knows of it.
    """

    _upstream: ClassVar[str]
    """How upstream's model is had, for messages."""

    transcriber: Transcriber

    def close(self) -> None:
        """Give the memory back, which upstream's model does when nothing holds it any more."""
        self.transcriber.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "transcriber":  # asked for by Python itself, or not loaded
            raise AttributeError(name)
        raise AttributeError(
            f"asrlab's look-alike has no {name!r}, which is one engine's own; .transcriber does the work, and "
            f"{self._upstream}.{name} is upstream's"
        )
