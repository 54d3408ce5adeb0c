"""Patches for code that calls the packages directly, and the list of all that are known."""

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
from asrlab.patches import Patch, PatchScope, PatchSelection, apply_patches, import_modules
from asrlab.plugins.manager import PluginHost
from asrlab.transcript import PatchStatus

_log = logging.getLogger("asrlab.patches")


def known_patches(host: PluginHost | None = None) -> tuple[Patch, ...]:
    """All patches, the built-in ones first; imports no package that they change.

    Of two with one name the first one counts, and the other is left out with a warning in the log.
    """
    found: dict[str, tuple[str, Patch]] = {}
    for plugin, patch in (host or PluginHost()).collect("asrlab_patches", Patch):
        first, _ = found.setdefault(patch.name, (plugin.distribution, patch))
        if found[patch.name][1] is not patch:
            _log.warning("patch %r of %s is left out: %s has one of this name", patch.name, plugin.distribution, first)
    return tuple(patch for _, patch in found.values())


@contextmanager
def patched(
    distribution: str,
    *,
    device: str = "auto",
    patches: str | Iterable[str] | None = None,
    host: PluginHost | None = None,
) -> Iterator[PatchScope]:
    """Patch a package for the code in the ``with`` block, which calls it directly.

    ::

        with asrlab.patches.patched("liquid-audio", device="mps") as patches:
            print(patches.report)
            processor = LFM2AudioProcessor.from_pretrained("LiquidAI/LFM2.5-Audio-1.5B").eval()

    Args:
        distribution: The package, such as ``liquid-audio`` or ``openai-whisper``.
        device: Where it is to run, such as ``mps``; ``auto`` for the best that PyTorch has here.
        patches: ``auto`` for what is needed, ``off``, or names; None reads ``ASRLAB_PATCHES``.
        host: The plugins to ask; None loads those of this environment.

    Yields:
        The scope, whose ``report`` says what became of each patch. The package is as it was after the block, unless a
        transcriber or another block still needs a patch.

    Raises:
        PatchError: Nothing is known to patch *distribution*, or a patch that was named does not exist or fails.
        DeviceUnavailableError: There is no device of this name anywhere.
    """
    all_known = known_patches(host)
    mine = _of(distribution, all_known)
    choice = PatchSelection.of(patches, all_known)
    with apply_patches(mine, _device(device, mine, choice), choice=choice, direct=True) as scope:
        scope.require(choice)
        yield scope


def try_patches(
    *,
    device: str = "auto",
    patches: str | Iterable[str] | None = None,
    host: PluginHost | None = None,
    distributions: Iterable[str] | None = None,
) -> tuple[tuple[Patch, PatchStatus], ...]:
    """What each known patch does here: it is applied as for code that calls its package, verified, and undone.

    Takes what `patched` does. One that was named and fails is no error here: its status says so.

    Args:
        device: Where the packages are to run.
        patches: ``auto``, ``off`` or names; None reads ``ASRLAB_PATCHES``.
        host: The plugins to ask; None loads those of this environment.
        distributions: The packages whose patches are tried; None for all of them.

    Raises:
        PatchError: A patch that was named does not exist.
        DeviceUnavailableError: There is no device of this name anywhere.
    """
    known = known_patches(host)
    choice = PatchSelection.of(patches, known)
    tried: list[tuple[Patch, PatchStatus]] = []
    for distribution in (
        dict.fromkeys(patch.distribution for patch in known) if distributions is None else distributions
    ):
        mine = _of(distribution, known)
        with apply_patches(mine, _device(device, mine, choice), choice=choice, direct=True) as scope:
            tried += zip(mine, scope.report, strict=True)
    return tuple(tried)


def install_patches(
    distribution: str,
    *,
    device: str = "auto",
    patches: str | Iterable[str] | None = None,
    host: PluginHost | None = None,
) -> InstalledPatches:
    """Patch a package for the rest of the process, as soon as it is imported; it is not imported for that.

    Takes what `patched` does and raises what it does, except that a patch that fails can make neither this call nor the
    package's import fail: ``report`` tells of it.
    """
    all_known = known_patches(host)
    mine = _of(distribution, all_known)
    choice = PatchSelection.of(patches, all_known)
    return InstalledPatches(mine, device, choice)


class InstalledPatches:
    """Patches that wait for the import of their package, and then hold until `remove`.

    Attributes:
        scope: What was applied; None until the package is imported.
    """

    def __init__(self, patches: tuple[Patch, ...], device: str, choice: PatchSelection) -> None:
        from wrapt import register_post_import_hook

        self._patches, self._choice = patches, choice
        self._device = device if device == "auto" else _device(device, (), choice)
        self._lock = Lock()
        self._begun = False
        self._removed = False
        self.scope: PatchScope | None = None
        self._import_contexts = ExitStack()
        for patch in patches:
            if not choice.forbids(patch, direct=True):
                self._import_contexts.enter_context(patch.import_context())
        for module in {patch.module for patch in patches}:
            register_post_import_hook(self._imported, module)

    @property
    def report(self) -> tuple[PatchStatus, ...]:
        """What became of each patch; empty until the package is imported."""
        return self.scope.report if self.scope else ()

    def remove(self) -> None:
        """Undo what was applied, and apply nothing if the package is imported later. May be called again."""
        with self._lock:
            self._removed = True
            scope = self.scope
            import_contexts = self._import_contexts.pop_all()
        import_contexts.close()
        if scope is not None:
            scope.close()

    def _imported(self, module: ModuleType) -> None:
        with self._lock:
            if self._begun or self._removed:
                return
            self._begun = True
        try:
            # without the lock: this imports, and another thread that imports may be waiting for the lock
            device = _device(self._device, (), self._choice)
            scope = apply_patches(self._patches, device, choice=self._choice, direct=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the import of somebody's package must not fail for this
            _log.warning("%s was imported, and its patches could not be applied: %s", module.__name__, error)
            return
        with self._lock:
            self.scope = scope
            removed = self._removed
            import_contexts = self._import_contexts.pop_all()
        import_contexts.close()
        if removed:
            scope.close()


def _of(distribution: str, known: tuple[Patch, ...]) -> tuple[Patch, ...]:
    mine = tuple(patch for patch in known if patch.distribution == distribution)
    if not mine:
        names = sorted({patch.distribution for patch in known})
        near = get_close_matches(distribution, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are patches for {', '.join(names)}"
        raise PatchError(f"no patch for a distribution {distribution!r} is known; {hint}")
    return mine


def check_device(asked: str) -> None:
    """Refuse what is no device's name.

    Raises:
        DeviceUnavailableError: There is no device of this name anywhere.
    """
    resolve(asked, DeviceReport(available=(asked,)), engine="")


def _device(asked: str, patches: Iterable[Patch], choice: PatchSelection) -> str:
    """The device itself; for ``auto`` the packages are imported, and PyTorch is asked if that brought it."""
    if asked != "auto":
        return resolve(asked, DeviceReport(available=(asked,)), engine="").resolved  # refuses what is no device's name
    for patch in patches:
        if choice.forbids(patch, direct=True):
            continue
        try:
            import_modules(patch)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - each patch will report it
            _log.info("%s does not import: %s", patch.module, error)
    return torch_devices().best() if "torch" in sys.modules else "cpu"
