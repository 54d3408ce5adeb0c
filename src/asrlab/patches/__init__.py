"""Patches to other packages, for devices and versions that these packages were not written for."""

from asrlab._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "asrlab.patches.direct": "InstalledPatches install_patches known_patches patched",
        "asrlab.patches.patch": "Patch PatchDecision PatchSelection",
        "asrlab.patches.registry": "PatchScope apply_patches import_modules",
    },
)
