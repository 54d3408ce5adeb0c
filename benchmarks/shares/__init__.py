"""The engine's share of a run's CPU time: a run in one process whose threads are measured.

Run it from the root of the repository with faster-whisper installed and the weights of ``base`` available::

    python -m benchmarks.shares --record shares.json
"""
