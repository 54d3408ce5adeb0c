from asrlab.patches.direct import (
    InstalledPatches as InstalledPatches,
    install_patches as install_patches,
    known_patches as known_patches,
    patched as patched,
)
from asrlab.patches.patch import Patch as Patch, PatchDecision as PatchDecision, PatchSelection as PatchSelection
from asrlab.patches.registry import (
    PatchScope as PatchScope,
    apply_patches as apply_patches,
    import_modules as import_modules,
)
