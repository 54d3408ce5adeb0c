"""Where a command writes the one document that was asked for: a file, or standard output for ``-``."""

from __future__ import annotations

from pathlib import Path

import attrs

from asrlab.errors import OptionError
from asrlab.output_files import check_target, write_file
from asrlab.terminal import write_stdout

__all__ = ["Target"]


@attrs.frozen
class Target:
    """A file, or standard output.

    Attributes:
        path: The file; ``-`` for standard output.
    """

    path: Path

    @classmethod
    def of(cls, path: Path, *, as_json: bool, option: str) -> Target:
        """Return the target that *path* names.

        Raises:
            OptionError: Both the document and ``--json`` are to go to standard output.
        """
        target = cls(path)
        if target.is_stdout and as_json:
            message = f"--{option} - and --json would both write to standard output; leave one out"
            raise OptionError(message, option=option)
        return target

    def __str__(self) -> str:
        return "to standard output" if self.is_stdout else str(self.path)

    @property
    def is_stdout(self) -> bool:
        """Whether the document goes to standard output."""
        return self.path == Path("-")

    def check(self) -> None:
        """Find out that it can be written, before the document is made.

        Raises:
            OutputError: It cannot.
        """
        if not self.is_stdout:
            check_target(self.path)

    def write(self, content: bytes) -> None:
        """Write *content*, whole or not at all where it is a file.

        Raises:
            OutputError: It cannot be written.
        """
        if self.is_stdout:
            write_stdout(content)
        else:
            write_file(self.path, content)
