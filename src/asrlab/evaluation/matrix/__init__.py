"""Every engine on every device: what ran there, what failed, and what this machine lacks.

``python -m asrlab.evaluation.matrix`` prints the table; with ``--record`` it leaves a document that can be sent to others,
and ``--merge`` makes one table of several. Each cell (a model on a device) is a process of its own with a time limit.
"""

from asrlab.evaluation.matrix.records import CellResult, CheckResult, Figure, MatrixRecord

__all__ = ["CellResult", "CheckResult", "Figure", "MatrixRecord"]
