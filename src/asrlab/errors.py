"""The errors that asrlab raises, each also the builtin that it resembles.

::

    AsrlabError
    ├── EngineNotFoundError(LookupError)        an engine or model that does not exist, or a name of two plugins
    ├── EngineUnavailableError(ImportError)     the engine's package is missing, broken, or its plugin failed
    ├── DeviceUnavailableError(RuntimeError)    the requested device is not available for this engine
    ├── OptionError(ValueError)                 an option that the engine or model does not support
    ├── AudioError(ValueError)                  audio that cannot be read, is truncated, empty or not finite
    ├── DatasetError(ValueError)                a data set, run, document or transcript that cannot be read or used
    ├── OutputError(OSError)                    a file, or standard output, that cannot be written
    ├── WeightsError(OSError)                   weights that are missing, damaged or cannot be fetched
    └── PatchError(RuntimeError)                a requested patch that does not exist or cannot be applied

Every message says what happened, where, and what to do next; the facts are attributes too.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike


class AsrlabError(Exception):
    """The base class of asrlab's errors.

    Attributes:
        message: The sentence shown to the user.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class EngineNotFoundError(AsrlabError, LookupError):
    """An engine or model that does not exist, or a name that two plugins use.

    Attributes:
        name: The requested name.
        near: Similar names, best first.
    """

    def __init__(self, message: str, *, name: str = "", near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.name, self.near = name, tuple(near)


class EngineUnavailableError(AsrlabError, ImportError):
    """A known engine, or an optional feature, whose package is not installed or cannot be imported.

    Attributes:
        engine: The engine's name; empty for a feature.
        install: The command that installs the package; empty if no command would help.
    """

    def __init__(self, message: str, *, engine: str = "", install: str = "") -> None:
        super().__init__(message)
        self.engine, self.install = engine, install


class DeviceUnavailableError(AsrlabError, RuntimeError):
    """A requested device that is not available for this engine.

    Attributes:
        device: The requested device.
        available: The devices that this engine can use here.
    """

    def __init__(self, message: str, *, device: str = "", available: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.device, self.available = device, tuple(available)


class OptionError(AsrlabError, ValueError):
    """An option, or its value, that the engine or model does not support.

    Attributes:
        option: The option's name.
        supported: Supported options, or supported values of *option*.
    """

    def __init__(self, message: str, *, option: str = "", supported: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.option, self.supported = option, tuple(supported)


class AudioError(AsrlabError, ValueError):
    """Audio that cannot be transcribed.

    Attributes:
        source: The path, or a description of the object.
        reason: One word: ``missing``, ``directory``, ``empty``, ``undecodable``, ``truncated``, ``not-finite``,
            ``too-short``, ``out-of-range``, ``bad-shape``, ``no-track``, ``unreadable``.
        declared: Seconds that the file declares, if *reason* is ``truncated``.
        decoded: Seconds that could be decoded, if *reason* is ``truncated``.
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
        self.source, self.reason, self.declared, self.decoded = source, reason, declared, decoded


class DatasetError(AsrlabError, ValueError):
    """A data set, run, document or stored transcript that cannot be read, resumed or used.

    Attributes:
        path: The file at fault, if there is one.
        line: The line at fault, counted from 1, if there is one.
    """

    def __init__(self, message: str, *, path: str | PathLike[str] | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.path, self.line = path, line


class OutputError(AsrlabError, OSError):
    """Output that cannot be written: a full disk, a folder without permission, a closed stream.

    Attributes:
        path: The file, or ``standard output``.
        reason: The reason that the operating system reports.
    """

    def __init__(self, message: str, *, path: str | PathLike[str] = "", reason: str = "") -> None:
        super().__init__(message)
        self.path, self.reason = path, reason


class WeightsError(AsrlabError, OSError):
    """Weights that are missing, damaged, or could not be fetched.

    Attributes:
        model: The model or the file.
        expected_sha256: The checksum in the catalogue, if a checksum did not match.
        actual_sha256: The checksum of the file.
        tried: The sources that were tried, in order, each with the reason of its failure.
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
        self.model, self.tried = model, tuple(tried)
        self.expected_sha256, self.actual_sha256 = expected_sha256, actual_sha256


class PatchError(AsrlabError, RuntimeError):
    """A patch that was requested by name and does not exist or cannot be applied.

    Attributes:
        patch: The patch's name.
    """

    def __init__(self, message: str, *, patch: str = "") -> None:
        super().__init__(message)
        self.patch = patch
