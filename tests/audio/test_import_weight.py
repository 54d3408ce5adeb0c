import subprocess
import sys


def test_importing_the_room_loads_no_decoder_and_no_numpy():
    """`import asrlab.audio` stays light."""
    code = "import sys, asrlab.audio; print([n for n in ('numpy', 'soundfile', 'av', 'soxr') if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
