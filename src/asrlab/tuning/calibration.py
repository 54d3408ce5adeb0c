"""Calibrations: the batching settings measured for a model on a machine, and the folder that stores them."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

from asrlab.bounded_json import parse_json
from asrlab.environment import accelerator_name, platform_name, processor_name, usable_cores
from asrlab.errors import AsrlabError, DatasetError, OutputError
from asrlab.options import Batching
from asrlab.output_files import cache_folder, check_folder, write_file
from asrlab.transcript import PackageVersion

if TYPE_CHECKING:
    from asrlab.engine.contract import TranscriberInfo
    from asrlab.engine.spec import EngineSpec

SCHEMA = 2  # of the file format; files of other versions are not used

_logger = logging.getLogger("asrlab.tuning")


@attrs.frozen(kw_only=True)
class CalibrationKey:
    """The facts that a calibration depends on. If one of them changes, the calibration is not found.

    Attributes:
        processor: Name of the processor; empty if the system does not report it.
        cores: Cores that the process may use.
        platform: System and architecture.
        device: Device of the model, such as ``cpu`` or ``cuda:0``.
        device_name: Name of the accelerator; empty for the CPU, or if the driver does not report it.
        model: Model name as ``engine/model``.
        weights_sha256: SHA-256 of the main weights file; None for a model without weights.
        compute_type: Number format in use.
        threads: Requested CPU threads; None if the engine chose.
        packages: asrlab and the distributions that run the model, with their versions.
    """

    processor: str
    cores: int
    platform: str
    device: str
    device_name: str = ""
    model: str
    weights_sha256: str | None
    compute_type: str
    threads: int | None = None
    packages: tuple[PackageVersion, ...] = ()

    @classmethod
    def from_info(cls, info: TranscriberInfo, engine: EngineSpec, *, threads: int | None) -> Self:
        """Return the key of a loaded model on this machine; *threads* are those requested when it was loaded."""
        return cls(
            processor=processor_name(),
            cores=usable_cores(),
            platform=platform_name(),
            device=info.device.resolved,
            device_name=accelerator_name(info.device.resolved),
            model=info.model.name,
            weights_sha256=info.model.weights_sha256,
            compute_type=info.compute_type,
            threads=threads,
            packages=relevant_packages(engine),
        )

    @property
    def is_this_machine(self) -> bool:
        """True if processor and system are those of this machine."""
        return (self.processor, self.platform) == (processor_name(), platform_name())

    def describe_changes(self, current: CalibrationKey) -> tuple[str, ...]:
        """Return a phrase for each fact that differs in *current*."""
        changes = [f"{self.cores} cores, now {current.cores}"] if self.cores != current.cores else []
        if self.device_name != current.device_name:
            name = current.device_name or "not found"
            changes.append(f"{self.device} was {self.device_name or 'unnamed'}, now {name}")
        if self.weights_sha256 != current.weights_sha256:
            changes.append("other weights")
        versions = {package.name: package.version for package in current.packages}
        for package in self.packages:
            version = versions.pop(package.name, "not installed")
            if version != package.version:
                changes.append(f"{package.name} {package.version}, now {version}")
        return (*changes, *(f"{name} {version} is new" for name, version in versions.items()))


def relevant_packages(engine: EngineSpec) -> tuple[PackageVersion, ...]:
    """Return asrlab and the installed distributions that run *engine*'s models, not those that decode audio."""
    return tuple(package for package in engine.packages() if package.name == "asrlab" or engine.uses(package.name))


@attrs.frozen(kw_only=True)
class Trial:
    """A candidate, timed.

    Attributes:
        step: The dimension that was searched: ``workers``, ``batch size``, ``encoder`` or ``window``.
        batching: The candidate's settings, complete.
        audio_seconds: Seconds of audio in one round.
        seconds: Seconds that each round took; empty if none was completed.
        error: Reason why the trial is not valid; None if it is.
    """

    step: str
    batching: Batching
    audio_seconds: float
    seconds: tuple[float, ...] = ()
    error: str | None = None

    @property
    def best_seconds(self) -> float | None:
        """Seconds of the fastest round; None if the trial is not valid."""
        return min(self.seconds) if self.seconds and self.error is None else None

    @property
    def rtfx(self) -> float | None:
        """Seconds of audio per second in the fastest round; None if the trial is not valid."""
        return self.audio_seconds / self.best_seconds if self.best_seconds else None


@attrs.frozen(kw_only=True)
class Calibration:
    """The fastest batching settings of a model on a machine.

    Attributes:
        key: The facts that it depends on.
        batching: The settings, complete.
        trials: All trials, in order.
        date: UTC, ISO 8601 to the second.
        seconds: Seconds that all trials took.
        complete: True if all candidates were tried before the time was used up.
        schema: Version of the file format.
    """

    key: CalibrationKey
    batching: Batching
    trials: tuple[Trial, ...] = ()
    date: str
    seconds: float
    complete: bool = True
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Return the calibration as one JSON object."""
        return json.dumps(attrs.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, document: str | bytes) -> Self:
        """Read a calibration that `to_json` wrote.

        Raises:
            DatasetError: If the document is not a calibration of this version.
        """
        import cattrs

        try:
            plain = parse_json(document)
            if plain["schema"] != SCHEMA:
                raise DatasetError(f"its schema is {plain['schema']!r}, but this asrlab reads schema {SCHEMA}")
            return cattrs.Converter(forbid_extra_keys=True).structure(plain, cls)
        except cattrs.BaseValidationError as error:
            raise DatasetError("; ".join(cattrs.transform_error(error)[:2])) from error
        except AsrlabError as error:
            raise DatasetError(str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"it is not a calibration: {error}") from error


class CalibrationStore:
    """The folder of calibrations; None is ``tuning`` in ``ASRLAB_CACHE``, or else in the user's cache folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_folder() / "tuning").expanduser().absolute()

    def path(self, key: CalibrationKey) -> Path:
        """Return the path of the calibration for *key*, whether it exists or not."""
        plain = json.dumps([SCHEMA, attrs.asdict(key)], sort_keys=True)
        digest = hashlib.sha256(plain.encode()).hexdigest()
        slug = re.sub(r"[^A-Za-z0-9.-]+", "-", key.model).strip("-.")[-60:]
        return self.root / f"{slug}-{digest[:16]}.json"

    def find(self, key: CalibrationKey) -> Calibration | None:
        """Return the calibration for exactly *key*; None if there is none. A file that is not readable is logged."""
        path = self.path(key)
        calibration = self._read(path)
        if calibration is not None and calibration.key != key:
            _logger.warning("%s is not used as a calibration: its name does not match its content; remove it", path)
            return None
        return calibration

    def all(self) -> Iterator[tuple[Path, Calibration]]:
        """Yield the readable calibrations with their paths, sorted by path; log those that are not readable."""
        try:
            paths = sorted(self.root.glob("*.json"))
        except OSError as error:
            _logger.warning("cannot list the calibrations in %s: %s; run: asrlab doctor", self.root, error.strerror)
            return
        for path in paths:
            calibration = self._read(path)
            if calibration is not None:
                yield path, calibration

    def check_writable(self) -> None:
        """Create the folder, and check that a calibration can be written, before time is spent on measuring."""
        with self._write_errors():
            check_folder(self.root)

    def put(self, calibration: Calibration) -> Path:
        """Write *calibration* atomically in place of an earlier one, and return its path."""
        path = self.path(calibration.key)
        with self._write_errors():
            self.root.mkdir(parents=True, exist_ok=True)
            write_file(path, calibration.to_json().encode())
        return path

    def forget(self, model: str) -> tuple[Path, ...]:
        """Remove every calibration of *model* on this machine, whatever the versions, and return their paths."""
        stored = [(path, calibration.key) for path, calibration in self.all()]
        paths = tuple(path for path, key in stored if key.model == model and key.is_this_machine)
        with self._write_errors():
            for path in paths:
                path.unlink(missing_ok=True)
        return paths

    def _read(self, path: Path) -> Calibration | None:
        try:
            return Calibration.from_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, DatasetError) as error:
            _logger.warning("%s is not used as a calibration: %s; remove it, or run: asrlab tune MODEL", path, error)
            return None

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.reason if isinstance(error, OutputError) else error.strerror or str(error)
            message = f"cannot write the calibrations in {self.root} ({reason}); set ASRLAB_CACHE to another folder"
            raise OutputError(message, path=self.root, reason=reason) from error
