"""Script that reads one file in blocks and prints the memory of this process as JSON."""

from __future__ import annotations

import sys


def peak_bytes() -> int:
    """Return the peak resident memory of this process."""
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - the memory of pathlib would count as asrlab's
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main() -> None:
    """Read the file named on the command line."""
    interpreter = peak_bytes()

    from asrlab.audio import open_audio

    with open_audio(sys.argv[1]) as reader:
        for _ in reader.blocks():
            pass
    peak = peak_bytes()

    import json

    facts = {"decoder": reader.decoder, "seconds": reader.duration, "decoding_seconds": reader.decoding_time}
    print(json.dumps({**facts, "interpreter_bytes": interpreter, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
