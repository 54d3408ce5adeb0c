"""Growth of memory, and of time for each clip, with the number of clips: 40 to 4,000 with ``transcribe_many``.

Run it from the root of the repository with faster-whisper installed and the weights of ``tiny.en`` available::

    python -m benchmarks.growth --record growth.json
"""
