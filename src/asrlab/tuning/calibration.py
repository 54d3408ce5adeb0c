"""A calibration as data: the circumstances it holds for, what was tried, and what was chosen."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

from asrlab.bounded_json import parse_json
from asrlab.environment import accelerator_name, platform_name, processor_name, usable_cores
from asrlab.errors import AsrlabError, DatasetError, OutputError
from asrlab.options import Batching
from asrlab.transcript import PackageVersion

if TYPE_CHECKING:
    from asrlab.engine.contract import TranscriberInfo
    from asrlab.engine.spec import EngineSpec

SCHEMA = 1
"""Number of the layout; a reader leaves alone what has another."""


@attrs.frozen(kw_only=True)
class CalibrationKey:
    """What a calibration holds for. If any of it changes, the calibration is not found.

    Attributes:
        processor: The model's name; empty where the system does not tell.
        cores: Those that the process might use.
        platform: System and architecture.
        device: Where the model was: ``cpu``, ``cuda:0``.
        device_name: The accelerator's model; empty for the CPU, and where the driver does not tell.
        model: As ``engine/model``.
        weights_sha256: Of the main file; None for a model without weights.
        compute_type: In use, not as asked for.
        threads: CPU threads that were asked for; None if that was left to the engine.
        packages: asrlab and the distributions that do the work, with their versions.
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
    def of(cls, info: TranscriberInfo, engine: EngineSpec, *, threads: int | None) -> Self:
        """Those of a loaded model on this machine.

        Args:
            info: The model's facts.
            engine: Its engine, whose packages count; those that only decode audio do not.
            threads: As asked for when it was loaded.
        """
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
    def here(self) -> bool:
        """Whether it was this machine, as far as its processor and system tell."""
        return (self.processor, self.platform) == (processor_name(), platform_name())

    @property
    def subject(self) -> tuple[str, str, str, int | None]:
        """What was calibrated (the model, where and how), whatever the versions."""
        return (self.model, self.device, self.compute_type, self.threads)

    def changes(self, now: CalibrationKey) -> tuple[str, ...]:
        """What is different *now*, in words."""
        changed = []
        if self.cores != now.cores:
            changed.append(f"{self.cores} cores, now {now.cores}")
        if self.device_name != now.device_name:
            changed.append(f"{self.device} was {self.device_name or 'unnamed'}, now {now.device_name or 'not there'}")
        if self.weights_sha256 != now.weights_sha256:
            changed.append("other weights")
        there = {package.name: package.version for package in now.packages}
        for package in self.packages:
            version = there.pop(package.name, "not installed")
            if version != package.version:
                changed.append(f"{package.name} {package.version}, now {version}")
        return (*changed, *(f"{name} {version} is new" for name, version in there.items()))


def relevant_packages(engine: EngineSpec) -> tuple[PackageVersion, ...]:
    """asrlab, and the installed distributions that do *engine*'s work; not those that only decode audio."""
    return tuple(package for package in engine.packages() if package.name == "asrlab" or engine.uses(package.name))


@attrs.frozen(kw_only=True)
class Trial:
    """One way of batching, timed.

    Attributes:
        step: What was being decided: ``workers``, ``batch size``, ``encoder`` or ``window``.
        batching: How recordings went together; complete.
        audio_seconds: Audio in one round.
        seconds: What each round took; empty if none came to its end.
        error: Why it does not count; None if it does.
    """

    step: str
    batching: Batching
    audio_seconds: float
    seconds: tuple[float, ...] = ()
    error: str | None = None

    @property
    def best(self) -> float | None:
        """Seconds of its best round; None if it does not count."""
        return min(self.seconds) if self.seconds and self.error is None else None

    @property
    def pace(self) -> float | None:
        """Seconds of audio a second, in its best round; None if it does not count."""
        return self.audio_seconds / self.best if self.best else None


@attrs.frozen(kw_only=True)
class Calibration:
    """How recordings best go together through one model on one machine.

    Attributes:
        circumstances: What it holds for.
        chosen: The choice, complete.
        trials: All that was tried, in order.
        date: UTC, ISO 8601 to the second.
        seconds: What the trials took in all.
        complete: Whether everything had its turn before the time was used up.
        schema: Number of the layout.
    """

    circumstances: CalibrationKey
    chosen: Batching
    trials: tuple[Trial, ...] = ()
    date: str
    seconds: float
    complete: bool = True
    schema: int = SCHEMA

    def to_json(self) -> str:
        """As one JSON object."""
        return json.dumps(attrs.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, document: str | bytes) -> Self:
        """Read back what `to_json` gave.

        Raises:
            DatasetError: It is something else.
        """
        import cattrs

        try:
            plain = parse_json(document)
            if plain["schema"] != SCHEMA:
                raise DatasetError(f"its layout is number {plain['schema']!r}, and this asrlab reads {SCHEMA}")
            return cattrs.Converter(forbid_extra_keys=True).structure(plain, cls)
        except cattrs.BaseValidationError as error:
            raise DatasetError("; ".join(cattrs.transform_error(error)[:2])) from error
        except (AsrlabError, KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                str(error) if isinstance(error, AsrlabError) else f"it is no calibration: {error}"
            ) from error


log = logging.getLogger("asrlab.tuning")


class CalibrationStore:
    """The folder of calibrations.

    Args:
        root: The folder; None is ``tuning`` in ``ASRLAB_CACHE``, or else in the user's cache folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or _default_root()).expanduser().absolute()

    def path(self, circumstances: CalibrationKey) -> Path:
        """The file of the calibration for *circumstances*, whether it is there or not."""
        plain = json.dumps([SCHEMA, attrs.asdict(circumstances)], sort_keys=True)
        digest = hashlib.sha256(plain.encode()).hexdigest()
        return self.root / f"{_slug(circumstances.model)}-{digest[:16]}.json"

    def find(self, circumstances: CalibrationKey) -> Calibration | None:
        """The calibration for exactly these; None if there is none, or it cannot be read, which is logged."""
        path = self.path(circumstances)
        found = self._read(path)
        if found is not None and found.circumstances != circumstances:
            log.warning("%s is not used as a calibration: its name and what it says differ; remove it", path)
            return None
        return found

    def all(self) -> Iterator[tuple[Path, Calibration]]:
        """Every calibration, with its file, by the files' names; what cannot be read is left out and logged."""
        for path in self._files():
            found = self._read(path)
            if found is not None:
                yield path, found

    def check(self) -> None:
        """Make the folder, before time is spent on what could not be kept.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise self._unwritable(error) from error

    def put(self, calibration: Calibration) -> Path:
        """Keep *calibration*, whole or not at all, in the place of an earlier one; give its file.

        Raises:
            OutputError: It cannot be written.
        """
        path = self.path(calibration.circumstances)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.root, prefix=".") as folder:
                whole = Path(folder, path.name)
                whole.write_text(calibration.to_json(), encoding="utf-8")
                return whole.replace(path)
        except OSError as error:
            raise self._unwritable(error) from error

    def forget(self, model: str) -> tuple[Path, ...]:
        """Remove every calibration of *model* on this machine, those for other versions too; give their files.

        Raises:
            OutputError: One cannot be removed.
        """
        told = ((path, found.circumstances) for path, found in self.all())
        paths = tuple(path for path, circumstances in told if circumstances.model == model and circumstances.here)
        try:
            for path in paths:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        return paths

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self.root.glob("*.json") if not path.name.startswith("."))
        except OSError as error:
            log.warning("cannot look for calibrations in %s: %s; see: asrlab doctor", self.root, error.strerror)
            return []

    def _read(self, path: Path) -> Calibration | None:
        try:
            return Calibration.from_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, DatasetError) as error:
            log.warning("%s is not used as a calibration: %s; remove it, or run: asrlab tune MODEL", path, error)
            return None

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"the calibrations in {self.root} cannot be written ({error.strerror}); set ASRLAB_CACHE to another folder",
            path=self.root,
            reason=error.strerror or str(error),
        )


def find_calibration(circumstances: CalibrationKey, *, root: Path | None = None) -> Calibration | None:
    """The stored calibration for exactly these *circumstances*; None if there is none. Never raises for the file."""
    return CalibrationStore(root).find(circumstances)


def _default_root() -> Path:
    chosen = os.environ.get("ASRLAB_CACHE")
    if chosen:
        return Path(chosen) / "tuning"
    from platformdirs import user_cache_path

    return user_cache_path("asrlab") / "tuning"


def _slug(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", model).strip("-.")[-60:]
