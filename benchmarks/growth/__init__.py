"""Whether more clips take more memory, or more time each: 40 to 4,000 through ``transcribe_many``.

Run it from the root of the repository with faster-whisper installed and the weights of ``tiny.en`` in reach::

    python -m benchmarks.growth --record growth.json
"""
