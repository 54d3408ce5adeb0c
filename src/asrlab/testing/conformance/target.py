"""The target of the conformance checks: a model, how to load it, what it claims, and fresh processes to check it in."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import AsrlabError, OptionError
from asrlab.isolation import python_command

if TYPE_CHECKING:
    from asrlab.audio import Audio
    from asrlab.engine.transcriber import Transcriber

SIMULATED_MPS = "mps-sim"
"""The device MPS, simulated on the CPU: for engines on PyTorch, on Linux."""

_DEVICES = re.compile(rf"cpu|mps|cuda(?::\d+)?|{SIMULATED_MPS}")
_N_LAST_LINES = 15


def _to_path(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).expanduser().absolute()


def _to_pairs(reasons: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(dict(reasons).items())


@attrs.frozen(kw_only=True)
class Target:
    """A model to check, how to load it, and what it claims.

    Attributes:
        model: The name for ``asrlab.load``, such as ``my-engine/small``.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``mps-sim`` for MPS simulated on the CPU.
        compute_type: The compute type for ``asrlab.load``.
        weights: A folder or file with the weights; None for the model's default weights.
        offline: True if loading must not use the network.
        deterministic: True if the same audio always gives the same transcript.
        speech: A recording of a few seconds that the model can transcribe; None for 3 s of English read speech.
        expected_failures: Names of checks that are known to fail, each with the reason. Such a check is skipped if it
            fails, and fails if it passes, as a strict ``xfail`` of pytest does.
        limit_s: Maximum seconds for a child process, including loading.

    Raises:
        OptionError: If the device is unknown.
    """

    model: str
    device: str = attrs.field(default="cpu")
    compute_type: str = "auto"
    weights: Path | None = attrs.field(default=None, converter=_to_path)
    offline: bool = True
    deterministic: bool = True
    speech: Path | None = attrs.field(default=None, converter=_to_path)
    expected_failures: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_to_pairs)
    limit_s: float = 600.0

    @device.validator
    def _check_device(self, _field: attrs.Attribute[str], device: str) -> None:
        if not _DEVICES.fullmatch(device):
            raise OptionError(
                f"cannot run the conformance checks on device {device!r}; choose cpu, cuda, cuda:N, mps or "
                f"{SIMULATED_MPS}",
                option="device",
            )

    @property
    def simulated(self) -> bool:
        """True if the device is simulated."""
        return self.device == SIMULATED_MPS

    @property
    def load_device(self) -> str:
        """The device for ``asrlab.load``."""
        return "mps" if self.simulated else self.device

    def load(self, *, compute_type: str | None = None) -> Transcriber:
        """Load the model."""
        from asrlab.loading import load

        return load(
            self.model,
            device=self.load_device,
            compute_type=compute_type or self.compute_type,
            weights=self.weights,
            offline=self.offline,
        )

    def load_speech(self) -> Audio:
        """Decode the recording."""
        from asrlab.audio import load_audio
        from asrlab.evaluation.catalog import load_dataset

        clip = self.speech or next(clip.audio for clip in load_dataset("smoke") if clip.id.endswith("-0880"))
        return load_audio(clip)

    def run_in_subprocess(
        self, function: Callable[..., Any], *arguments: Any, simulated: bool = False, temporary: Path | None = None
    ) -> Any:
        """Run *function* in a fresh process and return its result.

        Args:
            function: A function at the top of a module; its arguments and result are pickled.
            arguments: Arguments of the function.
            simulated: True to simulate MPS in the process.
            temporary: Folder for temporary files; None for the folder of this process.

        Raises:
            AsrlabError: If the process was killed, exceeded the limit, or raised.
        """
        name = f"the process of the conformance checks ({function.__name__})"
        try:
            done = subprocess.run(
                python_command(f"from {__name__} import serve; serve()"),
                input=pickle.dumps((function, arguments, simulated)),
                capture_output=True,
                check=False,
                timeout=self.limit_s,
                env=os.environ | ({"TMPDIR": str(temporary)} if temporary else {}),
            )
        except subprocess.TimeoutExpired as error:
            raise AsrlabError(
                f"{name} did not end within {self.limit_s:.0f} s; make the engine faster, or increase limit_s of the "
                "target"
            ) from error
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()[-_N_LAST_LINES:]
            raise AsrlabError(f"{name} ended with exit code {done.returncode}; its last output:\n" + "\n".join(lines))
        return pickle.loads(done.stdout)  # noqa: S301 - written by the process that was started above

    def __str__(self) -> str:
        return f"{self.model} on {self.device}"


def serve() -> None:
    """Run the call on standard input and write the result to standard output; other output goes to standard error."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    function, arguments, simulated = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by `run_in_subprocess`
    from asrlab.testing.mps.simulation import simulated_mps

    with simulated_mps() if simulated else nullcontext():
        result = function(*arguments)
    with results:
        results.write(pickle.dumps(result))
