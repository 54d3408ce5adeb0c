"""Patches are applied if they are needed, counted, and undone to the same object."""

from __future__ import annotations

import importlib
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

import asrlab


def decide(status: Any, reason: str = "seen") -> Callable[..., asrlab.patches.PatchDecision]:
    """Return a check with this decision."""
    return lambda _originals, _device: asrlab.patches.PatchDecision(status=status, reason=reason)


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises *error*."""

    def function(*_: Any) -> Any:
        raise error

    return function


@pytest.fixture
def theirs(toy: Any) -> Iterator[Callable[..., Any]]:
    """Return a replacement of ``align`` by other code, and restore upstream's after the test."""
    original = toy.module.align
    yield lambda times: ["theirs", *times]
    toy.module.align = original


CHANGES = {
    "function": ("toy_speech:align", lambda function, _device: lambda times: ["patched", *function(times)]),
    "property": ("toy_speech:Model.speech", lambda _getter, _device: property(lambda _self: "patched")),
    "classmethod": ("toy_speech:Model.load", lambda _loader, _device: classmethod(lambda _class: "patched")),
    "inherited": ("toy_speech:Model.device", lambda _method, _device: lambda _self: "patched"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_the_original_object_is_restored(toy: Any, kind: str):
    """A function, property, class method or inherited method is changed in the scope and the same object after it."""
    target, change = CHANGES[kind]
    name = target.rpartition(".")[2].rpartition(":")[2]
    owner = toy.module if kind == "function" else toy.module.Model
    before = vars(owner).get(name)
    with toy.apply(toy.patch(changes={target: change})) as scope:
        assert [status.status for status in scope.report] == ["applied"]
        assert vars(owner)[name] is not before
        calls = {"function": lambda: toy.module.align([])[0], "property": lambda: toy.module.Model().speech,
                "classmethod": toy.module.Model.load, "inherited": lambda: toy.module.Model().device()}  # fmt: skip
        assert calls[kind]() == "patched"
        assert toy.module.Base().device() == "cuda"
    assert vars(owner).get(name) is before
    assert (name in vars(owner)) == (kind != "inherited")


def test_a_patch_is_active_until_its_last_scope_closes(toy: Any):
    """Two scopes share a patch: it stays until both have closed, and closing twice has no effect."""
    original = toy.module.align
    first, second = toy.apply(toy.patch()), toy.apply(toy.patch())
    assert toy.module.align([]) == ["cuda", "patched"]
    first.close()
    first.close()
    assert toy.module.align([]) == ["cuda", "patched"]
    second.close()
    assert toy.module.align is original


@pytest.mark.parametrize("order", list(itertools.permutations("abc")), ids="".join)
def test_patches_of_one_target_are_undone_in_any_order(toy: Any, append: Any, order: tuple[str, ...]):
    """Three patches of a function are undone in any order, and the other changes stay in theirs."""
    original = toy.module.align
    scopes = {
        letter: toy.apply(toy.patch(name=letter, changes={"toy_speech:align": append(letter)})) for letter in "abc"
    }
    assert toy.module.align([]) == ["cuda", "a", "b", "c"]
    for letter in order:
        scopes.pop(letter).close()
        assert toy.module.align([]) == ["cuda", *scopes]
    assert toy.module.align is original


@pytest.mark.parametrize("direct_first", [False, True])
def test_changes_for_direct_use_are_outermost(toy: Any, append: Any, direct_first: bool):  # noqa: FBT001 - a parameter of the test
    """A change for direct use is outermost in any order, so that the other change receives its arguments."""
    inner = toy.patch(name="inner", changes={"toy_speech:align": append("inner")})
    outer = toy.patch(name="outer", changes={"toy_speech:align": append("outer")}, direct_use=True)
    with toy.apply(*([outer, inner] if direct_first else [inner, outer])):
        assert toy.module.align([]) == ["cuda", "inner", "outer"]


STATUSES: dict[str, tuple[dict[str, Any], str, str]] = {
    "applied": ({}, "applied", "not cpu"),
    "untested": ({"versions": ("0.8", "0.9")}, "untested-version", "1.0 is not among the tested versions 0.8, 0.9"),
    "other-device": ({"devices": ("mps", "cuda")}, "not-needed", "only mps and cuda can need it, not cpu"),
    "not-needed": ({"check": decide("not-needed")}, "not-needed", "seen"),
    "retired": ({"check": decide("retired")}, "retired", "seen"),
    "check-raises": ({"check": raising(KeyError("code"))}, "failed", "KeyError: 'code'"),
    "check-exits": ({"check": raising(SystemExit(3))}, "failed", "SystemExit: 3"),
    "check-returns-none": ({"check": lambda *_: None}, "failed", "AttributeError"),
    "unknown-status": (
        {"check": lambda *_: asrlab.patches.PatchDecision(status="perhaps", reason="")},
        "failed",
        "ValueError",
    ),  # type: ignore[arg-type]
    "change-raises": ({"changes": {"toy_speech:align": raising(TypeError("no\nand more"))}}, "failed", "TypeError: no"),
    "verify-raises": ({"verify": raising(RuntimeError("still cuda"))}, "failed", "RuntimeError: still cuda"),
    "no-module": ({"module": "toy_speach"}, "failed", "ModuleNotFoundError: No module named 'toy_speach'"),
    "no-owner": ({"changes": {"toy_speech:Modell.load": None}}, "failed", "AttributeError"),
    "no-attribute": ({"changes": {"toy_speech:Model.lod": None}}, "failed", "upstream has no toy_speech:Model.lod"),
    "no-package": ({"distribution": "toy-speach"}, "skipped", "toy-speach is not installed"),
}


@pytest.mark.parametrize("case", STATUSES)
def test_each_status_has_a_reason(toy: Any, case: str):
    """Each status has its reason, and the package is changed only if the patch is active."""
    fields, status, reason = STATUSES[case]
    patch = toy.patch(**fields)
    with toy.apply(patch) as scope:
        (reported,) = scope.report
        assert (reported.name, reported.distribution, reported.link) == (
            patch.name,
            patch.distribution,
            patch.issue_url,
        )
        assert reported.status == status
        assert reason in reported.reason
        assert "\n" not in reported.reason
        assert reported.is_active == (toy.module.align([]) == ["cuda", "patched"])
        assert scope.status("toy-align") == status
        assert scope.status("another") == "skipped"


def test_a_failing_patch_is_undone_and_the_others_are_applied(toy: Any, append: Any):
    """A patch that fails at its second target is undone at its first, and the other patches are applied."""
    broken = toy.patch(
        name="broken",
        changes={"toy_speech:Model.device": append("half"), "toy_speech:align": raising(TypeError("no"))},
    )
    first, last = toy.patch(name="first"), toy.patch(name="last", changes={"toy_speech:align": append("last")})
    with toy.apply(first, broken, last) as scope:
        assert [status.status for status in scope.report] == ["applied", "failed", "applied"]
        assert toy.module.align([]) == ["cuda", "patched", "last"]
        assert "device" not in vars(toy.module.Model)


def test_an_interruption_undoes_what_was_applied(toy: Any):
    """Ctrl-C while the second patch is verified is raised, and the first patch is undone."""
    original = toy.module.align
    second = toy.patch(name="second", verify=raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        toy.apply(toy.patch(), second)
    assert toy.module.align is original


def test_a_failure_to_restore_does_not_stop_the_rest(toy: Any, append: Any, caplog: pytest.LogCaptureFixture):
    """If another patch raises while one is undone, a warning is logged, and the rest of the scope is undone."""
    calls = itertools.count()

    def only_twice(function: Any, _device: Any) -> Any:
        if next(calls) > 1:
            raise TypeError("not a third time")
        return function

    fragile = toy.apply(toy.patch(name="fragile", changes={"toy_speech:align": only_twice}))
    scope = toy.apply(
        toy.patch(name="device", changes={"toy_speech:Model.device": append("x")}),
        toy.patch(name="align", changes={"toy_speech:align": append("y")}),
    )
    assert [status.status for status in scope.report] == ["applied", "applied"]
    scope.close()
    assert "device" not in vars(toy.module.Model)
    assert "toy_speech:align could not be restored: not a third time" in caplog.text
    fragile.close()
    assert toy.module.align([]) == ["cuda"]


def test_the_current_device_is_the_newest(toy: Any):
    """A change receives the device of the newest scope when it is used, and none after the last scope."""

    def return_device(_function: Any, current_device: Any) -> Any:
        return lambda _times: current_device()

    patch = toy.patch(changes={"toy_speech:align": return_device}, devices=("cpu", "mps", "cuda"))
    first = toy.apply(patch, device="cuda:1")
    second = toy.apply(patch, device="mps")
    align = toy.module.align
    assert align([]) == "mps"
    third = toy.apply(patch, device="cpu")
    assert align([]) == "cpu"
    second.close()
    assert align([]) == "cpu"
    third.close()
    assert align([]) == "cuda:1"
    first.close()
    assert align([]) == ""


def test_a_device_without_need_is_still_the_newest(toy: Any):
    """A scope for cuda, which needs no patch, inside a scope for mps uses cuda."""
    patch = toy.patch(
        changes={"toy_speech:align": lambda _function, current_device: lambda _times: current_device()},
        devices=("mps", "cuda"),
        check=lambda _originals, device: asrlab.patches.PatchDecision(
            status="not-needed" if device == "cuda" else "needed", reason="seen"
        ),
    )
    with toy.apply(patch, device="mps"):
        with toy.apply(patch, device="cuda") as inner:
            assert inner.status(patch.name) == "not-needed"
            assert toy.module.align([]) == "cuda"
        assert toy.module.align([]) == "mps"
    with toy.apply(patch, device="cuda"):
        assert toy.module.align([]) == ["cuda"]


def test_a_check_receives_upstreams_objects(toy: Any):
    """``check`` receives upstream's objects, even if another patch is active, and None if there is no object."""
    received: list[Any] = []

    def check(originals: tuple[Any, ...], _device: str) -> asrlab.patches.PatchDecision:
        received.append(originals)
        return asrlab.patches.PatchDecision(status="retired", reason="")

    original, loader = toy.module.align, vars(toy.module.Model)["load"]
    targets = dict.fromkeys(("toy_speech:align", "toy_speech:Model.load", "toy_speech:Model.missing"))
    with toy.apply(toy.patch()), toy.apply(toy.patch(name="look", changes=targets, check=check)):
        assert toy.module.align is not original
    assert [[a is b for a, b in zip(objects, (original, loader, None), strict=True)] for objects in received] == [
        [True] * 3
    ]


@pytest.mark.parametrize("check", [decide("retired"), raising(KeyError("code"))], ids=["retired", "failed"])
def test_objects_are_looked_up_again_after_a_check(toy: Any, theirs: Callable[..., Any], check: Any):
    """The next scope changes and restores an object that other code has assigned after a check."""
    toy.apply(toy.patch(check=check, changes=dict.fromkeys(("toy_speech:align", "toy_speech:Model.load"))))
    toy.apply(toy.patch(name="half", changes=dict.fromkeys(("toy_speech:align", "toy_speech:Modell.load"))))
    toy.module.align = theirs
    with toy.apply(toy.patch()) as scope:
        assert scope.status("toy-align") == "applied"
        assert toy.module.align([]) == ["theirs", "patched"]
    assert toy.module.align is theirs


def test_changes_by_other_code_are_not_overwritten(
    toy: Any, append: Any, theirs: Callable[..., Any], caplog: pytest.LogCaptureFixture
):
    """An object that other code has changed is not overwritten, with a warning, and cannot be patched again."""
    scope = toy.apply(toy.patch())
    toy.module.align = theirs
    for late in (toy.patch(), toy.patch(name="late", changes={"toy_speech:align": append("late")})):
        with toy.apply(late) as failed:
            assert failed.report[0].status == "failed"
            assert "other code has changed toy_speech:align" in failed.report[0].reason
    scope.close()
    assert toy.module.align is theirs
    assert "other code has changed toy_speech:align; asrlab leaves it unchanged" in caplog.text
    with toy.apply(toy.patch()) as again:
        assert again.status("toy-align") == "applied"
    assert toy.module.align is theirs


def test_other_code_can_restore_the_original(toy: Any, caplog: pytest.LogCaptureFixture):
    """If other code has restored the object or deleted the change, closing does nothing and logs no warning."""
    original = toy.module.align
    scope = toy.apply(toy.patch(changes={"toy_speech:align": lambda *_: None, "toy_speech:Model.device": lambda *_: 0}))
    toy.module.align = original
    del toy.module.Model.device
    scope.close()
    assert toy.module.align is original
    assert "device" not in vars(toy.module.Model)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_reloaded_module_keeps_its_objects(toy: Any):
    """The new objects of a reloaded module stay, and are patched by the next scope."""
    scope = toy.apply(toy.patch(changes={"toy_speech:Model.speech": lambda *_: property(lambda _self: "patched")}))
    before = dict(vars(toy.module))
    importlib.reload(toy.module)
    assert toy.module.Model().speech == "cuda"
    scope.close()
    assert toy.module.Model().speech == "cuda"
    with toy.apply(toy.patch()):
        assert toy.module.align([]) == ["cuda", "patched"]
    vars(toy.module).update(before)


def test_torch_itself_is_never_changed(toy: Any, append: Any):
    """A patch whose target belongs to torch fails, under any name of the target."""
    pytest.importorskip("torch", reason="torch is not installed")
    import torch

    toy.module.nn = torch.nn
    for target in ("torch.nn:Module.to", "torch:cuda", "toy_speech:nn.Module.to"):
        with toy.apply(toy.patch(changes={target: append("x")})) as scope:
            assert scope.report[0].status == "failed"
            assert f"{target} belongs to torch" in scope.report[0].reason
    del toy.module.nn


def test_a_status_is_logged_once(toy: Any, caplog: pytest.LogCaptureFixture):
    """An applied patch is logged as information and a failure as a warning, once in a process, with the address."""
    caplog.set_level(logging.INFO, logger="asrlab.patches")
    works = toy.patch(name="logged-works", reason="a reason")
    fails = toy.patch(name="logged-fails", check=raising(KeyError("code")))
    for _ in range(3):
        toy.apply(works, fails).close()
    messages = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert messages == [
        ("INFO", "patch logged-works for toy-speech on cpu: applied: not cpu (https://example.org/1)"),
        ("WARNING", "patch logged-fails for toy-speech on cpu: failed: KeyError: 'code' (https://example.org/1)"),
    ]


def test_a_patch_is_data(toy: Any):
    """A patch cannot be changed, and prints without its functions."""
    patch = toy.patch()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        patch.name = "other"
    assert "function" not in repr(patch)
    assert "toy-align" in repr(patch)
