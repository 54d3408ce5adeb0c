"""Executor of runs in processes on this machine, which are watched and replaced when they fail."""

from __future__ import annotations

from asrlab.evaluation.runs.local.worker_pool import LocalExecutor

__all__ = ["LocalExecutor"]
