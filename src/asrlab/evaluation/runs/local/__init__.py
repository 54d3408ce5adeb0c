"""Work in processes on this machine, each watched and replaced when it hangs, dies or runs out of memory."""

from __future__ import annotations

from asrlab.evaluation.runs.local.executor import LocalExecutor

__all__ = ["LocalExecutor"]
