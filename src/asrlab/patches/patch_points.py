"""The places that patches change: each remembers the very object upstream put there, and puts it back."""

from __future__ import annotations

import inspect
import logging
from importlib import import_module
from types import ModuleType
from typing import Any

from asrlab.patches.patch import DeviceNow, Patch

_log = logging.getLogger("asrlab.patches")


class PatchPoint:
    """One attribute of a module or class, with the changes that hold there.

    Several patches may change one place, and may go in any order: what is there is always upstream's own object with
    the changes that still hold. Those for code that calls the package directly are on top, whenever they came: what
    they fill in for the caller is then seen by the others.

    Args:
        place: ``package.module:Class.attribute``.

    Raises:
        AttributeError: The class is not there.
        ImportError: The module is not there.
        ValueError: It is a place of torch itself.

    Attributes:
        place: As it was given.
        original: Upstream's own object, as it lies in the namespace: a property, not its value. None if there is none.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        module, _, path = place.partition(":")
        *owners, self._name = path.split(".")
        owner: Any = import_module(module)
        for each in owners:
            owner = getattr(owner, each)
        home = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
        if home.partition(".")[0] == "torch":
            raise ValueError(f"{place} belongs to torch, which no patch may change")
        self._owner = owner
        self.original: Any = self._present()
        self._inherited = self._name not in vars(owner)
        self._layers: dict[str, tuple[Patch, DeviceNow]] = {}
        self._installed: Any = self.original

    @property
    def bare(self) -> bool:
        """Whether no change holds here."""
        return not self._layers

    def add(self, patch: Patch, device_now: DeviceNow) -> None:
        """Let the change of *patch* hold, too, or still. If this fails, `remove` what is left of it.

        Raises:
            AttributeError: Upstream has nothing there.
            RuntimeError: Other code has changed the place since the first of the changes.
            Exception: Whatever the patch's function raises.
        """
        if self.original is None:
            raise AttributeError(f"upstream has no {self.place}")
        if self._present() is not self._installed:
            raise RuntimeError(f"{self.place} was changed by other code meanwhile")
        self._layers[patch.name] = (patch, device_now)
        self._install()

    def remove(self, patch: str) -> None:
        """Let the change of *patch* hold no longer; without any, upstream's own object is back."""
        if self._layers.pop(patch, None) is not None:
            self._install()

    def _install(self) -> None:
        wanted = self.original
        for patch, device_now in sorted(self._layers.values(), key=lambda layer: layer[0].direct_use):
            wanted = patch.changes[self.place](wanted, device_now)
        present = self._present()
        if present is not self._installed and present is not wanted:
            _log.warning("%s was changed by other code meanwhile; asrlab leaves it as it is", self.place)
            return
        if not (self.bare and self._inherited):
            setattr(self._owner, self._name, wanted)
        elif self._name in vars(self._owner):
            delattr(self._owner, self._name)
        self._installed = wanted

    def _present(self) -> Any:
        return inspect.getattr_static(self._owner, self._name, None)
