"""Patches: what a package needs changed to run on a device it was not written for."""

from asrlab.patches.apply import PatchScope, apply_patches, import_modules
from asrlab.patches.choice import PatchChoice
from asrlab.patches.patch import Need, Patch

__all__ = ["Need", "Patch", "PatchChoice", "PatchScope", "apply_patches", "import_modules"]
