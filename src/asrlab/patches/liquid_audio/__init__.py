"""What liquid-audio needs changed off CUDA.

Upstream's issue 26 and pull request 12, which asked for other devices, were closed without a change.
"""

from asrlab.patches.liquid_audio.default_device import DEFAULT_DEVICE
from asrlab.patches.liquid_audio.detokenizer_device import DETOKENIZER_DEVICE
from asrlab.patches.liquid_audio.flash_attention import FLASH_ATTENTION

__all__ = ["PATCHES"]

PATCHES = (DETOKENIZER_DEVICE, FLASH_ATTENTION, DEFAULT_DEVICE)
