"""Overhead of asrlab over the engines: time, start-up and memory.

Run the benchmark from the root of the repository with both engines installed and the weights of ``base`` available::

    python -m benchmarks.overhead --record overhead.json
"""
