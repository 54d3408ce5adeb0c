"""Patches: what a package needs changed to run on a device it was not written for."""

from asrlab.patches.patch import Patch

__all__ = ["Patch"]
