"""How fast short clips are transcribed with faster-whisper: by the engine's own calls, and by ``transcribe_many``.

Run it from the root of the repository with faster-whisper installed and the weights of ``base`` in reach::

    python -m benchmarks.throughput --folder ../shared/speech --record throughput.json
"""
