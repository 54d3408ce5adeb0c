"""How long one clip of five seconds takes: by faster-whisper's own call, and by ``transcribe``.

Run it from the root of the repository with faster-whisper installed and the weights of ``base`` in reach::

    python -m benchmarks.latency --record latency.json
"""
