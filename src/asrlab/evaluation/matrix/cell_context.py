"""What a cell's checks are given: the device, and a way to tell what became of each of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.environment import torch_build
from asrlab.errors import AsrlabError
from asrlab.evaluation.matrix.messages import CheckStarted, Job
from asrlab.evaluation.matrix.records import CheckResult, Facts, Figure, Outcome
from asrlab.loading import load

if TYPE_CHECKING:
    from asrlab.engine.transcriber import Transcriber
    from asrlab.testing import Simulation


_log = logging.getLogger("asrlab.evaluation.matrix")
_LONGEST_LINE = 300


@attrs.define
class Check:
    """A check under way.

    Attributes:
        detail: What was seen so far.
        outcome: What it will be if nothing is raised.
        figures: What was measured so far.
    """

    detail: str = ""
    outcome: Outcome = "ran"
    figures: list[Figure] = attrs.field(factory=list)

    def saw(self, detail: str) -> None:
        """Note what was seen."""
        self.detail = f"{self.detail}; {detail}" if self.detail else detail

    def stop(self, outcome: Outcome, reason: str) -> None:
        """Note why there is nothing to check."""
        self.outcome, self.detail = outcome, reason

    def require(self, condition: object, message: str) -> None:
        """Fail with *message* unless *condition* is true.

        Raises:
            AsrlabError: It is not.
        """
        if not condition:
            raise AsrlabError(message)

    def measured(self, figure: Figure) -> None:
        """Note a figure, and fail if it is beyond its tolerance.

        Raises:
            AsrlabError: It is.
        """
        self.figures.append(figure)
        found = figure.largest if figure.relative is None else figure.relative
        self.require(figure.within, f"{figure.name}: {found} from the CPU's, where {figure.tolerance} is the tolerance")


@attrs.define(kw_only=True)
class CellContext:
    """A cell under way.

    Attributes:
        job: Which cell it is.
        send: Tells the other side.
        simulation: The simulated device; None where nothing is simulated, and before it is.
    """

    job: Job
    send: Callable[[object], None]
    simulation: Simulation | None = None

    @property
    def device(self) -> str:
        """As ``asrlab.load`` takes it."""
        return self.job.where.device

    @property
    def is_reference(self) -> bool:
        """Whether this is the CPU, which there is nothing to compare with."""
        return self.device == "cpu"

    @contextmanager
    def check(self, name: str, *, preliminary: bool = False) -> Iterator[Check]:
        """A check: what is raised in the block is its failure, and ends there.

        Args:
            name: Its name.
            preliminary: It shows nothing of the device, and is told only where there is no going on.
        """
        self.send(CheckStarted(check=name))
        check, error_line, start = Check(), "", time.monotonic()
        try:
            yield check
        except Exception as error:  # noqa: BLE001 - whatever an engine raises on a device is what the matrix shows
            _log.info("%s failed", name, exc_info=True)
            check.outcome, error_line = "failed", first_line(error)
        if preliminary and check.outcome == "ran":
            return
        self.send(
            CheckResult(
                name=name,
                outcome=check.outcome,
                detail=check.detail,
                error=error_line,
                seconds=round(time.monotonic() - start, 3),
                figures=tuple(check.figures),
            )
        )

    def load(self, model: str, **choices: Any) -> Transcriber:
        """Load on this cell's device, offline, and tell the facts."""
        transcriber = load(model, device=self.device, offline=True, **choices)
        info = transcriber.info
        self.send(
            Facts(
                info=attrs.evolve(info.model, name=self.job.model),
                device=info.device,
                compute_type=info.compute_type,
                packages=info.packages,
                patches=transcriber.patch_report,
                backend=torch_build(self.device),
            )
        )
        return transcriber


@attrs.frozen(kw_only=True)
class Suite:
    """The checks of an engine.

    Attributes:
        prepare: Run before the device is simulated: what the CPU says. What it gives is handed to *run*.
        run: The checks.
        own_weights: Whether it writes the weights that it uses, so that none need be on this machine.
    """

    prepare: Callable[[CellContext], Any]
    run: Callable[[CellContext, Any], None]
    own_weights: bool = False


def first_line(error: BaseException) -> str:
    """The first line of an error, with its kind unless it is asrlab's; the home directory is left out."""
    text = (str(error) or repr(error)).strip().partition("\n")[0].replace(str(Path.home()), "~")
    told = text if isinstance(error, AsrlabError) else f"{type(error).__name__}: {text}"
    return told if len(told) <= _LONGEST_LINE else f"{told[:_LONGEST_LINE]}..."
