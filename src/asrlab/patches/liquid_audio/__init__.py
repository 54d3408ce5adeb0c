"""The patches of liquid-audio, for devices other than CUDA and for a torchaudio that does not import.

Upstream's issue 26 and pull request 12, which requested other devices, were closed without a change.
"""

from asrlab.patches.liquid_audio.default_device import DEFAULT_DEVICE
from asrlab.patches.liquid_audio.detokenizer_device import DETOKENIZER_DEVICE
from asrlab.patches.liquid_audio.flash_attention import FLASH_ATTENTION
from asrlab.patches.liquid_audio.resampling import RESAMPLING

__all__ = ["PATCHES"]

# In order of application: without the first patch the package may not import.
PATCHES = (RESAMPLING, DETOKENIZER_DEVICE, FLASH_ATTENTION, DEFAULT_DEVICE)
