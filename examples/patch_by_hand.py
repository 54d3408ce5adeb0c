"""Run a package that is written for CUDA on MPS, by asrlab's patches but without asrlab's engines.

Run ``python examples/patch_by_hand.py``: LFM2.5-Audio's own speech decoder, from a tiny checkpoint of random weights.
Without a Mac, MPS is simulated.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import torch
from liquid_audio import LFM2AudioProcessor

import asrlab
from asrlab.testing import simulated_mps
from asrlab.testing.tiny_lfm2_audio import write_tiny_lfm2_audio

CODES = torch.arange(96).reshape(1, 8, 12) * 21  # about a second of speech, had the weights learned any


def decode(checkpoint: Path) -> str:
    """Call the package as its own documentation does; say what became of it."""
    processor = LFM2AudioProcessor.from_pretrained(checkpoint, device="mps").eval()
    try:
        wave = processor.decode(CODES.to("mps"))
    except (AssertionError, RuntimeError) as error:  # what torch raises where there is no CUDA
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return f"{wave.shape[-1]} samples on {wave.device}"


def main() -> int:
    """Print the outcome before, with and after the patches, and what became of each patch."""
    device = contextlib.nullcontext() if torch.backends.mps.is_built() else simulated_mps()
    with device, tempfile.TemporaryDirectory() as folder:
        checkpoint = write_tiny_lfm2_audio(Path(folder))
        print(f"before   {decode(checkpoint)}")
        with asrlab.patches.patched("liquid-audio", device="mps") as patches:
            print(f"patched  {decode(checkpoint)}")
            for patch in patches.report:
                print(f"         {patch.name}: {patch.status}, {patch.reason}")
        print(f"after    {decode(checkpoint)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
