"""Latency of a clip of five seconds: with faster-whisper's own call, and with ``transcribe``.

Run it from the root of the repository with faster-whisper installed and the weights of ``base`` available::

    python -m benchmarks.latency --record latency.json
"""
