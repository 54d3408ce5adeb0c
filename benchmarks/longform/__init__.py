"""Speed, errors and times for a long recording: with faster-whisper's own two ways, and with ``transcribe_many``.

Run it from the root of the repository with faster-whisper installed and the weights of ``base`` available::

    python -m benchmarks.longform --record longform.json
"""
