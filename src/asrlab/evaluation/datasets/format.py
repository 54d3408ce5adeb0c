"""What a format of data sets is: how it is told from the others, and what reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asrlab.evaluation.datasets.dataset import Dataset


ExternalAudioPolicy = bool | Literal["audio"]
"""Whether files may lie outside of the folder that was given; ``audio`` lets audio do so, which is not opened, and no
other files."""


@attrs.frozen(kw_only=True)
class ReadOptions:
    """What is asked of every reader.

    Attributes:
        require_text: An utterance without a reference is an error; False gives it ``text=None``.
        allow_external_audio: Accept files that are not below the folder that was given, or that of the file: audio that the
            data set names, and audio and texts that are links to elsewhere.
    """

    require_text: bool = True
    allow_external_audio: ExternalAudioPolicy = False


@attrs.frozen(kw_only=True)
class DatasetFormat:
    """A way in which data sets are written down.

    Attributes:
        name: What it is asked for by.
        description: A few words for a list.
        looks: Whether a path looks like one, from names and first lines only.
        read: The data set at a path. What can be told from names and first lines is checked at once, the utterances are
            read while they are iterated. It raises `DatasetError`.
    """

    name: str
    description: str
    looks: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], Dataset]

    def recognizes(self, path: Path) -> bool:
        """Whether *path* looks like one; what cannot be looked at does not."""
        try:
            return self.looks(path)
        except (OSError, ValueError):  # no permission, a name that is too long, a null byte in it
            return False
