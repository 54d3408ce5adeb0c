"""What of a run's CPU time is the engine's: a benchmark in one process, each of whose threads is watched.

Run it from the root of the repository with faster-whisper installed and the weights of ``base`` in reach::

    python -m benchmarks.shares --record shares.json
"""
