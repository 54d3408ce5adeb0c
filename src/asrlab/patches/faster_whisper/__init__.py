"""What faster-whisper needs changed with newer versions of what it uses."""

from asrlab.patches.faster_whisper.pyav_metadata_errors import PYAV_METADATA_ERRORS

__all__ = ["PATCHES"]

PATCHES = (PYAV_METADATA_ERRORS,)
