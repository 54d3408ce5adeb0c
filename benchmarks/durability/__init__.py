"""Durability of runs: kills at random times, at every write, and by engines that end their process.

Run it from the root of the repository::

    python -m benchmarks.durability --kills 1000 --real-kills 20 --json durability.json

``kill -9`` ends a process, but does not lose data that the process passed to the system. The further losses of a power
cut are modelled at the write boundaries (see `benchmarks.durability.disk`).
"""
