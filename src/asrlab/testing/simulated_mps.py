"""The command ``python -m asrlab.testing.simulated_mps SCRIPT``, which runs a script on the simulated MPS device.

Importing this module is refused, because it would hide the context manager `asrlab.testing.simulated_mps`.
"""

from __future__ import annotations

import sys

if __name__ == "asrlab.testing.simulated_mps":
    raise ImportError(
        "simulated_mps is a command, not a module to import; write: from asrlab.testing import simulated_mps"
    )

if __name__ == "__main__":
    from asrlab.testing.mps.command import main

    sys.exit(main())
