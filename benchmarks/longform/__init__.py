"""How fast and how well a long recording is transcribed: by faster-whisper's own two ways, and by ``transcribe_many``.

Run it from the root of the repository with faster-whisper installed and the weights of ``base`` in reach::

    python -m benchmarks.longform --record longform.json
"""
