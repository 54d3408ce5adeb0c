"""What the hooks around a run are told."""

from __future__ import annotations

import attrs

__all__ = ["RunFinished", "RunStarted"]


@attrs.frozen(kw_only=True)
class RunStarted:
    """A run is about to load its first model.

    Attributes:
        dataset: Its name.
        models: Full names, in the order they will run.
    """

    dataset: str
    models: tuple[str, ...]


@attrs.frozen(kw_only=True)
class RunFinished:
    """A run has come to its end.

    Attributes:
        dataset: Its name.
        models: Full names, in the order they ran.
        utterances: Outcomes, over all models.
        failed: How many of them are errors.
        seconds: From start to end, by a monotonic clock.
    """

    dataset: str
    models: tuple[str, ...]
    utterances: int
    failed: int
    seconds: float
