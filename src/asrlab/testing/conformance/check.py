"""A check, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import attrs

from asrlab.errors import AsrlabError

if TYPE_CHECKING:
    from asrlab.testing.conformance.context import CheckContext


_LONGEST_LINE = 300


@attrs.frozen(kw_only=True)
class Check:
    """One thing that a transcriber must keep to.

    Attributes:
        name: Such as ``times``; what `Subject.excuses` names.
        sentence: What must hold.
        problems: Looks for what does not hold; each problem says what, where, and what the author should do.
        unless: Why there is nothing to check; empty where there is.
        needs: What must be there for it: the model, loaded; its spec only; or nothing.
        apart: Whether it starts a process of its own, in which nothing was imported yet.
    """

    name: str
    sentence: str
    problems: Callable[[CheckContext], Iterable[str]]
    unless: Callable[[CheckContext], str] = lambda _case: ""
    needs: Literal["model", "spec", "nothing"] = "model"
    apart: bool = False


@attrs.frozen(kw_only=True)
class Verdict:
    """What became of a check.

    Attributes:
        check: Its name.
        outcome: ``skipped`` where there was nothing to check.
        told: The problems, or why it was skipped.
        seconds: How long it took.
    """

    check: str
    outcome: Literal["passed", "failed", "skipped"]
    told: tuple[str, ...] = ()
    seconds: float = 0.0


def judge(check: Check, case: CheckContext) -> Verdict:
    """Do *check*; an excuse turns a failure into a skip, and a pass into a failure."""
    start = time.monotonic()
    found = _found(check, case)
    excuse = dict(case.subject.excuses).get(check.name)
    if excuse is not None and found.outcome == "failed":
        found = attrs.evolve(found, outcome="skipped", told=(f"excused: {excuse} ({found.told[0]})",))
    elif excuse is not None and found.outcome == "passed":
        advice = f"it passes, so it needs no excuse ({excuse}); take {check.name!r} out of the subject's excuses"
        found = attrs.evolve(found, outcome="failed", told=(advice,))
    return attrs.evolve(found, seconds=round(time.monotonic() - start, 3))


def _found(check: Check, case: CheckContext) -> Verdict:
    try:
        if reason := _lacking(check, case) or check.unless(case):
            return Verdict(check=check.name, outcome="skipped", told=(reason,))
        problems = tuple(check.problems(case))
    except Exception as error:  # noqa: BLE001 - the plugin boundary: whatever an engine raises is what the kit shows
        problems = (f"{told(error)} was raised where nothing should be; mend what raises it",)
    return Verdict(check=check.name, outcome="failed" if problems else "passed", told=problems)


def _lacking(check: Check, case: CheckContext) -> str:
    if check.needs != "nothing" and case.unknown:
        return "there is no such model: see the check 'plugin'"
    if check.needs == "model" and case.load_failure:
        return "the model does not load: see the check 'loads'"
    return ""


def told(error: BaseException) -> str:
    """An error in words, with its kind unless it is asrlab's; of another's the first line only."""
    if isinstance(error, AsrlabError):
        return str(error)
    line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {line[:_LONGEST_LINE]}"
