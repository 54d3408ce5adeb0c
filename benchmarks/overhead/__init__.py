"""What asrlab costs on top of the engines beneath it: time, start-up and memory.

Run it from the root of the repository with both engines installed and the weights of ``base`` in reach::

    python -m benchmarks.overhead --record overhead.json
"""
