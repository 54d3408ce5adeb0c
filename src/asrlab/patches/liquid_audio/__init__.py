"""What liquid-audio needs changed off CUDA, and where torchaudio does not import.

Upstream's issue 26 and pull request 12, which asked for other devices, were closed without a change.
"""

from asrlab.patches.liquid_audio.default_device import DEFAULT_DEVICE
from asrlab.patches.liquid_audio.detokenizer_device import DETOKENIZER_DEVICE
from asrlab.patches.liquid_audio.flash_attention import FLASH_ATTENTION
from asrlab.patches.liquid_audio.resampling import RESAMPLING

__all__ = ["PATCHES"]

# in the order in which they are applied: without the first the package may not import
PATCHES = (RESAMPLING, DETOKENIZER_DEVICE, FLASH_ATTENTION, DEFAULT_DEVICE)
