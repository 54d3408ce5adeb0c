"""Patches for code that calls the packages directly, and the list of known patches."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from threading import Lock
from types import ModuleType

from asrlab.device import DeviceReport, resolve, torch_devices
from asrlab.errors import PatchError
from asrlab.patches.patch import Patch, PatchSelection
from asrlab.patches.registry import PatchScope, apply_patches, import_modules
from asrlab.plugins.manager import PluginHost
from asrlab.transcript import PatchStatus

_log = logging.getLogger("asrlab.patches")


def known_patches(host: PluginHost | None = None) -> tuple[Patch, ...]:
    """Return all patches, the built-in ones first, without an import of the packages that they change.

    Of two patches with one name the first is returned; the other is skipped with a warning in the log.
    """
    patches: dict[str, tuple[str, Patch]] = {}
    for plugin, patch in (host or PluginHost()).collect("asrlab_patches", Patch):
        first, known = patches.setdefault(patch.name, (plugin.distribution, patch))
        if known is not patch:
            _log.warning("skipping patch %r of %s: %s has a patch of this name", patch.name, plugin.distribution, first)
    return tuple(patch for _, patch in patches.values())


@contextmanager
def patched(
    distribution: str,
    *,
    device: str = "auto",
    patches: str | Iterable[str] | None = None,
    host: PluginHost | None = None,
) -> Iterator[PatchScope]:
    """Patch a package for the code in the ``with`` block, which calls the package directly.

    ::

        with asrlab.patches.patched("liquid-audio", device="mps") as patches:
            print(patches.report)
            processor = LFM2AudioProcessor.from_pretrained("LiquidAI/LFM2.5-Audio-1.5B").eval()

    Args:
        distribution: The package, such as ``liquid-audio`` or ``openai-whisper``.
        device: The device that the package runs on, such as ``mps``; ``auto`` is the best device of PyTorch here.
        patches: ``auto`` for the patches that are needed, ``off``, or names; None reads ``ASRLAB_PATCHES``.
        host: The plugins; None loads those of this environment.

    Yields:
        The scope, whose ``report`` has the status of each patch. After the block the package is restored, unless a
        transcriber or another block still needs a patch.

    Raises:
        PatchError: If no patch for *distribution* is known, or a patch that was named does not exist or fails.
        DeviceUnavailableError: If *device* is not the name of a device.
    """
    relevant, selection = _select(distribution, patches, host)
    with _apply(relevant, device, selection) as scope:
        scope.require(selection)
        yield scope


def try_patches(
    *,
    device: str = "auto",
    patches: str | Iterable[str] | None = None,
    host: PluginHost | None = None,
    distributions: Iterable[str] | None = None,
) -> tuple[tuple[Patch, PatchStatus], ...]:
    """Apply each known patch as for code that calls its package directly, verify it, and undo it.

    The arguments and errors are those of `patched`, except that a failing patch is not an error: its status reports the
    failure. *distributions* are the packages whose patches are tried; None for all.
    """
    host = host or PluginHost()
    if distributions is None:
        distributions = dict.fromkeys(patch.distribution for patch in known_patches(host))
    tried: list[tuple[Patch, PatchStatus]] = []
    for distribution in distributions:
        relevant, selection = _select(distribution, patches, host)
        with _apply(relevant, device, selection) as scope:
            tried += zip(relevant, scope.report, strict=True)
    return tuple(tried)


def install_patches(
    distribution: str,
    *,
    device: str = "auto",
    patches: str | Iterable[str] | None = None,
    host: PluginHost | None = None,
) -> InstalledPatches:
    """Patch a package for the rest of the process, as soon as other code imports it.

    Arguments and errors are those of `patched`, except that a failing patch fails neither this call nor the import of
    the package: ``report`` has the failure.
    """
    relevant, selection = _select(distribution, patches, host)
    return InstalledPatches(relevant, device, selection)


class InstalledPatches:
    """Patches that wait for the import of their package, and are then active until `remove`.

    Attributes:
        scope: The applied patches; None until the package is imported.
    """

    def __init__(self, patches: tuple[Patch, ...], device: str, selection: PatchSelection) -> None:
        from wrapt import register_post_import_hook

        self._patches, self._selection = patches, selection
        self._device = device if device == "auto" else _resolve_device(device)
        self._lock = Lock()
        self._has_started = False
        self._is_removed = False
        self.scope: PatchScope | None = None
        self._import_contexts = ExitStack()
        for patch in patches:
            if not selection.why_skipped(patch, direct=True):
                self._import_contexts.enter_context(patch.import_context())
        for module in {patch.module for patch in patches}:
            register_post_import_hook(self._on_import, module)

    @property
    def report(self) -> tuple[PatchStatus, ...]:
        """Status of each patch; empty until the package is imported."""
        return self.scope.report if self.scope else ()

    def remove(self) -> None:
        """Undo the patches, and apply none if the package is imported later. Further calls do nothing."""
        with self._lock:
            self._is_removed = True
            scope = self.scope
            import_contexts = self._import_contexts.pop_all()
        import_contexts.close()
        if scope is not None:
            scope.close()

    def _on_import(self, module: ModuleType) -> None:
        with self._lock:
            if self._has_started or self._is_removed:
                return
            self._has_started = True
        try:
            # Apply without the lock, because this imports modules, and another importing thread may wait for the lock.
            scope = _apply(self._patches, self._device, self._selection, is_imported=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the import of another package must not fail for this
            _log.warning("%s was imported, and its patches could not be applied: %s", module.__name__, error)
            return
        with self._lock:
            self.scope = scope
            is_removed = self._is_removed
            import_contexts = self._import_contexts.pop_all()
        import_contexts.close()
        if is_removed:
            scope.close()


def _select(
    distribution: str, patches: str | Iterable[str] | None, host: PluginHost | None
) -> tuple[tuple[Patch, ...], PatchSelection]:
    """Return the patches of *distribution*, and the user's selection of patches."""
    known = known_patches(host)
    relevant = tuple(patch for patch in known if patch.distribution == distribution)
    if not relevant:
        names = sorted({patch.distribution for patch in known})
        near = get_close_matches(distribution, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are patches for {', '.join(names)}"
        raise PatchError(f"no patch for a distribution {distribution!r} is known; {hint}")
    return relevant, PatchSelection.parse(patches, known)


def _apply(
    patches: tuple[Patch, ...], device: str, selection: PatchSelection, *, is_imported: bool = False
) -> PatchScope:
    """Apply patches; for the device ``auto`` import the packages, and ask PyTorch if that imported it."""
    if device != "auto":
        return apply_patches(patches, _resolve_device(device), selection=selection, direct=True)
    for patch in () if is_imported else patches:
        if selection.why_skipped(patch, direct=True):
            continue
        try:
            import_modules(patch)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - each patch will report it
            _log.info("%s does not import: %s", patch.module, error)
    best = torch_devices().best() if "torch" in sys.modules else "cpu"
    return apply_patches(patches, best, selection=selection, direct=True)


def check_device(device: str) -> None:
    """Raise `DeviceUnavailableError` if *device* is not the name of a device."""
    _resolve_device(device)


def _resolve_device(device: str) -> str:
    return resolve(device, DeviceReport(available=(device,)), engine="").resolved
