"""How recordings best go together through a model on this machine, found by trying."""

from __future__ import annotations

from asrlab.tuning.tune import tune

__all__ = ["tune"]
