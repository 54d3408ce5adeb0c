"""The errors asrlab raises, each also the builtin it resembles.

::

    AsrlabError
    ├── EngineNotFoundError(LookupError)        no such engine or model, or a name that two plugins claim
    ├── EngineUnavailableError(ImportError)     the engine's package is missing, broken, or its plugin failed
    ├── DeviceUnavailableError(RuntimeError)    the device asked for is not there for this engine
    ├── OptionError(ValueError)                 an option that the engine or model cannot honour
    ├── AudioError(ValueError)                  audio that cannot be read, is truncated, empty or not finite
    ├── DatasetError(ValueError)                a data set, run or stored transcript that cannot be read or kept
    ├── OutputError(OSError)                    a file, or standard output, that cannot be written
    ├── WeightsError(OSError)                   weights that are missing, damaged or cannot be fetched
    └── PatchError(RuntimeError)                a patch asked for by name that does not exist or cannot be applied

Every message says what happened, where, and what to do next; the facts are attributes too.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike


class AsrlabError(Exception):
    """The base of everything asrlab raises on purpose.

    Attributes:
        message: The sentence shown to the user.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class EngineNotFoundError(AsrlabError, LookupError):
    """No engine or model has this name, or more than one has.

    Attributes:
        name: The name that was asked for.
        near: Names that resemble it, best first.
    """

    def __init__(self, message: str, *, name: str = "", near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.near = tuple(near)


class EngineUnavailableError(AsrlabError, ImportError):
    """The engine is known, but its package is not installed or does not import.

    Attributes:
        engine: The engine's name.
        install: The command that installs what is missing, empty where none would help.
    """

    def __init__(self, message: str, *, engine: str = "", install: str = "") -> None:
        super().__init__(message)
        self.engine = engine
        self.install = install


class DeviceUnavailableError(AsrlabError, RuntimeError):
    """The device that was asked for by name is not there for this engine.

    Attributes:
        device: The device that was asked for.
        available: The devices that this engine can use here.
    """

    def __init__(self, message: str, *, device: str = "", available: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.device = device
        self.available = tuple(available)


class OptionError(AsrlabError, ValueError):
    """An option, or its value, that the engine or model cannot honour.

    Attributes:
        option: The option's name.
        supported: What could have been given instead: option names, or values of *option*.
    """

    def __init__(self, message: str, *, option: str = "", supported: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.option = option
        self.supported = tuple(supported)


class AudioError(AsrlabError, ValueError):
    """Audio that cannot be transcribed.

    Attributes:
        source: The path, or a description of the object, that was given.
        reason: One word: ``missing``, ``directory``, ``empty``, ``undecodable``, ``truncated``, ``not-finite``,
            ``too-short``, ``out-of-range``, ``bad-shape``, ``no-track``, ``unreadable``.
        declared: Seconds the file says it holds, where *reason* is ``truncated``.
        decoded: Seconds that could be decoded, where *reason* is ``truncated``.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str = "",
        reason: str = "",
        declared: float | None = None,
        decoded: float | None = None,
    ) -> None:
        super().__init__(message)
        self.source = source
        self.reason = reason
        self.declared = declared
        self.decoded = decoded


class DatasetError(AsrlabError, ValueError):
    """A data set, a run, or a stored transcript that cannot be read, written, or gone on with.

    Attributes:
        path: The file at fault, if there is one.
        line: Its line, counted from 1, if one is at fault.
    """

    def __init__(self, message: str, *, path: str | PathLike[str] | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


class OutputError(AsrlabError, OSError):
    """Output that cannot be written: a full disk, a folder without permission, a closed stream.

    Attributes:
        path: The file that was to be written, or ``standard output``.
        reason: Why it failed, as the operating system says it.
    """

    def __init__(self, message: str, *, path: str | PathLike[str] = "", reason: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.reason = reason


class WeightsError(AsrlabError, OSError):
    """Weights that are missing, damaged, or could not be fetched.

    Attributes:
        model: The model, or the file, whose weights they are.
        expected_sha256: The checksum that the catalogue names, where a checksum did not match.
        actual_sha256: The checksum of what was found.
        tried: The sources that were tried, in order, each with its outcome.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str = "",
        expected_sha256: str = "",
        actual_sha256: str = "",
        tried: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.model = model
        self.expected_sha256 = expected_sha256
        self.actual_sha256 = actual_sha256
        self.tried = tuple(tried)


class PatchError(AsrlabError, RuntimeError):
    """A patch that was asked for by name and does not exist or cannot be applied.

    Attributes:
        patch: The patch's name.
    """

    def __init__(self, message: str, *, patch: str = "") -> None:
        super().__init__(message)
        self.patch = patch
