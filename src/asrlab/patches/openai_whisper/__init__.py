"""What openai-whisper needs changed on MPS."""

from asrlab.patches.openai_whisper.alignment_heads import ALIGNMENT_HEADS
from asrlab.patches.openai_whisper.float64_alignment import FLOAT64_ALIGNMENT

__all__ = ["FLOAT64_ALIGNMENT", "PATCHES"]

PATCHES = (ALIGNMENT_HEADS, FLOAT64_ALIGNMENT)
