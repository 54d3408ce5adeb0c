import json
import struct
import subprocess
import sys
from pathlib import Path

_HOUR_BYTES = 3600 * 44_100 * 4

_SCRIPT = """
import json, resource, sys
import av, numpy, soundfile, soxr
from asrlab.audio import open_audio

def peak_mib():
    try:
        with open("/proc/self/status") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

before = peak_mib()
with open_audio(sys.argv[1]) as reader:
    longest = max(len(block) for block in reader.blocks())
print(json.dumps({"grown_mib": peak_mib() - before, "duration": reader.duration, "longest": longest}))
"""


def test_an_hour_of_stereo_stays_under_60_mib(tmp_path: Path):
    """Reading in blocks takes the same memory for a file of any length."""
    path = tmp_path / "hour.wav"
    header = b"RIFF" + struct.pack("<I", 36 + _HOUR_BYTES) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 2, 44_100, 176_400, 4, 16) + b"data" + struct.pack("<I", _HOUR_BYTES)
    with path.open("wb") as file:  # sparse: the samples are zeros that take no disk
        file.write(header)
        file.truncate(len(header) + _HOUR_BYTES)
    result = subprocess.run([sys.executable, "-c", _SCRIPT, str(path)], capture_output=True, text=True, check=True)
    measured = json.loads(result.stdout)
    assert measured["duration"] == 3600.0
    assert measured["longest"] == 480_000
    assert measured["grown_mib"] < 60


def test_importing_the_package_loads_no_decoder_and_no_numpy():
    """Importing asrlab.audio loads neither numpy nor a decoder."""
    code = "import sys, asrlab.audio; print([n for n in ('numpy', 'soundfile', 'av', 'soxr') if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
