"""Whether a run loses anything: killed at random, at every write, and by engines that take their process along.

Run it from the root of the repository::

    python -m benchmarks.durability --kills 1000 --real-kills 20 --json durability.json

``kill -9`` takes a process away, not what it has handed to the system; what a power cut takes as well is modelled at
the write boundaries (see `benchmarks.durability.disk`), not produced.
"""
