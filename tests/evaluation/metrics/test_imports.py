"""Cost of importing the metrics."""

from __future__ import annotations

import subprocess
import sys


def test_importing_metrics_loads_nothing_heavy():
    """Importing the package loads neither jiwer nor the normalizers nor numpy."""
    program = (
        "import sys, asrlab.evaluation.metrics;"
        "heavy = ('jiwer', 'rapidfuzz', 'whisper_normalizer', 'numpy', 'torch');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"
