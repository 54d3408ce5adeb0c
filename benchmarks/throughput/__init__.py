"""Throughput of short clips with faster-whisper: the engine's own calls, and ``transcribe_many``.

Run it from the root of the repository with faster-whisper installed and the weights of ``base`` available::

    python -m benchmarks.throughput --folder ../shared/speech --record throughput.json
"""
