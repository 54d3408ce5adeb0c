"""A data set that can be asked for by name, before anything of it is imported."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import attrs

from asrlab.errors import AsrlabError, DatasetError
from asrlab.evaluation.datasets.dataset import Dataset

__all__ = ["DatasetSpec"]


@attrs.frozen(kw_only=True)
class DatasetSpec:
    """A data set as a plugin offers it: data, with the code named by a dotted string.

    Attributes:
        name: What it is asked for by.
        description: One line for a list.
        factory: ``package.module:function``, called without an argument, giving a `Dataset`.
    """

    name: str
    description: str
    factory: str

    def load(self) -> Dataset:
        """Import the code and make the data set.

        Raises:
            DatasetError: The code does not import, fails, or gives something else.
        """
        try:
            made = self._call()
        except AsrlabError:
            raise
        except Exception as error:
            # the plugin boundary: whatever a stranger's code raises, its user gets to know which data set it was
            raise DatasetError(
                f"data set {self.name!r} cannot be loaded: {self.factory} raised {type(error).__name__}: {error}; "
                "see: asrlab plugins"
            ) from error
        if not isinstance(made, Dataset):
            raise DatasetError(
                f"data set {self.name!r} cannot be loaded: {self.factory} gave a {type(made).__name__} where a Dataset "
                "is needed; see: asrlab plugins"
            )
        return made

    def _call(self) -> Any:
        module, _, function = self.factory.partition(":")
        return getattr(import_module(module), function)()
