"""The attributes that patches change; each point remembers upstream's object and restores it."""

from __future__ import annotations

import inspect
import logging
from importlib import import_module
from types import ModuleType
from typing import Any

from asrlab.patches.patch import CurrentDevice, Patch

_log = logging.getLogger("asrlab.patches")


class PatchPoint:
    """An attribute of a module or class, with the active changes to it.

    Several patches may change one attribute, and may be undone in any order: its value is always upstream's object with
    the active changes. Changes for code that calls the package directly are outermost, whatever the order, so that the
    other changes receive the arguments that these fill in.

    Args:
        target: ``package.module:Class.attribute``.

    Raises:
        AttributeError: If the class does not exist.
        ImportError: If the module does not exist.
        ValueError: If the target belongs to torch.

    Attributes:
        target: The target as given.
        original: Upstream's object as stored in the namespace: a property, not its value. None if there is none.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        module, _, path = target.partition(":")
        *owners, self._name = path.split(".")
        owner: Any = import_module(module)
        for name in owners:
            owner = getattr(owner, name)
        home = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
        if home.partition(".")[0] == "torch":
            raise ValueError(f"{target} belongs to torch, which no patch may change")
        self._owner = owner
        self.original: Any = self._current()
        self._is_inherited = self._name not in vars(owner)
        self._layers: dict[str, tuple[Patch, CurrentDevice]] = {}
        self._installed: Any = self.original

    @property
    def is_unpatched(self) -> bool:
        """True if no change is active."""
        return not self._layers

    def add(self, patch: Patch, current_device: CurrentDevice) -> None:
        """Activate the change of *patch*. If this fails, call `remove` to undo the rest of it.

        Raises:
            AttributeError: If upstream has no such attribute.
            RuntimeError: If other code has changed the attribute since the first change.
            Exception: Whatever the patch's function raises.
        """
        if self.original is None:
            raise AttributeError(f"upstream has no {self.target}")
        if self._current() is not self._installed:
            raise RuntimeError(f"other code has changed {self.target}")
        self._layers[patch.name] = (patch, current_device)
        self._install()

    def remove(self, patch: str) -> None:
        """Undo the change of *patch*; without active changes, restore upstream's object."""
        if self._layers.pop(patch, None) is not None:
            self._install()

    def _install(self) -> None:
        value = self.original
        for patch, current_device in sorted(self._layers.values(), key=lambda layer: layer[0].direct_use):
            value = patch.changes[self.target](value, current_device)
        current = self._current()
        if current is not self._installed and current is not value:
            _log.warning("other code has changed %s; asrlab leaves it unchanged", self.target)
            return
        if not (self.is_unpatched and self._is_inherited):
            setattr(self._owner, self._name, value)
        elif self._name in vars(self._owner):
            delattr(self._owner, self._name)
        self._installed = value

    def _current(self) -> Any:
        return inspect.getattr_static(self._owner, self._name, None)
