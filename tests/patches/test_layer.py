"""Patches are applied where they are needed, counted, and undone to the very same object."""

from __future__ import annotations

import importlib
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

import asrlab


def need(status: Any, reason: str = "seen") -> Callable[..., asrlab.patches.PatchDecision]:
    """A look at the objects that comes to this."""
    return lambda _originals, _device: asrlab.patches.PatchDecision(status=status, reason=reason)


def raising(error: BaseException) -> Callable[..., Any]:
    """A function that raises it."""

    def function(*_: Any) -> Any:
        raise error

    return function


@pytest.fixture
def theirs(toy: Any) -> Iterator[Callable[..., Any]]:
    """What other code puts in the place of ``align``; after the test, upstream's is back."""
    original = toy.module.align
    yield lambda times: ["theirs", *times]
    toy.module.align = original


CHANGES = {
    "function": ("toy_speech:align", lambda function, _device: lambda times: ["patched", *function(times)]),
    "property": ("toy_speech:Model.speech", lambda _getter, _device: property(lambda _self: "patched")),
    "classmethod": ("toy_speech:Model.load", lambda _loader, _device: classmethod(lambda _class: "patched")),
    "inherited": ("toy_speech:Model.place", lambda _method, _device: lambda _self: "patched"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_was_there_is_back_to_the_very_object(toy: Any, kind: str):
    """A function, property, class method or inherited method is changed in the scope, and is the same object after."""
    place, change = CHANGES[kind]
    name = place.rpartition(".")[2].rpartition(":")[2]
    owner = toy.module if kind == "function" else toy.module.Model
    before = vars(owner).get(name)
    with toy.apply(toy.patch(changes={place: change})) as scope:
        assert [each.status for each in scope.report] == ["applied"]
        assert vars(owner)[name] is not before
        seen = {"function": lambda: toy.module.align([])[0], "property": lambda: toy.module.Model().speech,
                "classmethod": toy.module.Model.load, "inherited": lambda: toy.module.Model().place()}  # fmt: skip
        assert seen[kind]() == "patched"
        assert toy.module.Base().place() == "cuda"
    assert vars(owner).get(name) is before
    assert (name in vars(owner)) == (kind != "inherited")


def test_a_patch_holds_until_the_last_who_needs_it_is_gone(toy: Any):
    """Two scopes hold one patch once; the first to close leaves it to the other; closing again does nothing."""
    original = toy.module.align
    first, second = toy.apply(toy.patch()), toy.apply(toy.patch())
    assert toy.module.align([]) == ["cuda", "patched"]
    first.close()
    first.close()
    assert toy.module.align([]) == ["cuda", "patched"]
    second.close()
    assert toy.module.align is original


@pytest.mark.parametrize("order", list(itertools.permutations("abc")), ids="".join)
def test_patches_of_one_place_go_in_any_order(toy: Any, append: Any, order: tuple[str, ...]):
    """Three patches of one function: what is left is upstream's with the changes that still hold, in their order."""
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
def test_what_direct_use_needs_lies_on_top(toy: Any, append: Any, direct_first: bool):  # noqa: FBT001 - a case
    """Whichever came first, the change for direct use is outside, so that the other sees what it fills in."""
    inner = toy.patch(name="inner", changes={"toy_speech:align": append("inner")})
    outer = toy.patch(name="outer", changes={"toy_speech:align": append("outer")}, direct_use=True)
    with toy.apply(*([outer, inner] if direct_first else [inner, outer])):
        assert toy.module.align([]) == ["cuda", "inner", "outer"]


STATUSES: dict[str, tuple[dict[str, Any], str, str]] = {
    "applied": ({}, "applied", "not cpu"),
    "untested": ({"versions": ("0.8", "0.9")}, "untested-version", "1.0 is not among the tested versions 0.8, 0.9"),
    "other-device": ({"devices": ("mps", "cuda")}, "not-needed", "only mps and cuda can need it, not cpu"),
    "not-needed": ({"needed": need("not-needed")}, "not-needed", "seen"),
    "retired": ({"needed": need("retired")}, "retired", "seen"),
    "look-raises": ({"needed": raising(KeyError("code"))}, "failed", "KeyError: 'code'"),
    "look-exits": ({"needed": raising(SystemExit(3))}, "failed", "SystemExit: 3"),
    "look-wrong": ({"needed": lambda *_: None}, "failed", "AttributeError"),
    "unknown-status": (
        {"needed": lambda *_: asrlab.patches.PatchDecision(status="perhaps", reason="")},
        "failed",
        "ValueError",
    ),  # type: ignore[arg-type]
    "change-raises": ({"changes": {"toy_speech:align": raising(TypeError("no\nand more"))}}, "failed", "TypeError: no"),
    "verify-raises": ({"verify": raising(RuntimeError("still cuda"))}, "failed", "RuntimeError: still cuda"),
    "no-module": ({"module": "toy_speach"}, "failed", "ModuleNotFoundError: No module named 'toy_speach'"),
    "no-owner": ({"changes": {"toy_speech:Modell.load": None}}, "failed", "AttributeError"),
    "no-place": ({"changes": {"toy_speech:Model.lod": None}}, "failed", "upstream has no toy_speech:Model.lod"),
    "no-package": ({"distribution": "toy-speach"}, "skipped", "toy-speach is not installed"),
}


@pytest.mark.parametrize("case", STATUSES)
def test_each_status_says_why(toy: Any, case: str):
    """What became of a patch is its status, with the reason, and nothing is changed unless it was applied."""
    fields, status, reason = STATUSES[case]
    patch = toy.patch(**fields)
    with toy.apply(patch) as scope:
        (told,) = scope.report
        assert (told.name, told.distribution, told.link) == (patch.name, patch.distribution, patch.link)
        assert told.status == status
        assert reason in told.reason
        assert "\n" not in told.reason
        assert told.is_active == (toy.module.align([]) == ["cuda", "patched"])
        assert scope.status("toy-align") == status
        assert scope.status("another") == "skipped"


def test_a_patch_that_fails_leaves_the_others_and_nothing_of_itself(toy: Any, append: Any):
    """The first and the last are applied, and of the one that fails at its second place nothing is at its first."""
    broken = toy.patch(
        name="broken",
        changes={"toy_speech:Model.place": append("half"), "toy_speech:align": raising(TypeError("no"))},
    )
    first, last = toy.patch(name="first"), toy.patch(name="last", changes={"toy_speech:align": append("last")})
    with toy.apply(first, broken, last) as scope:
        assert [each.status for each in scope.report] == ["applied", "failed", "applied"]
        assert toy.module.align([]) == ["cuda", "patched", "last"]
        assert "place" not in vars(toy.module.Model)


def test_an_interruption_undoes_what_was_applied(toy: Any):
    """Ctrl-C while the second patch is verified goes through, and the first one is undone."""
    original = toy.module.align
    second = toy.patch(name="second", verify=raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        toy.apply(toy.patch(), second)
    assert toy.module.align is original


def test_one_that_cannot_be_put_back_does_not_keep_the_others(toy: Any, append: Any, caplog: pytest.LogCaptureFixture):
    """If another patch's change raises while one is undone, that is a warning, and the rest of the scope is undone."""
    calls = itertools.count()

    def only_twice(function: Any, _device: Any) -> Any:
        if next(calls) > 1:
            raise TypeError("not a third time")
        return function

    fragile = toy.apply(toy.patch(name="fragile", changes={"toy_speech:align": only_twice}))
    scope = toy.apply(
        toy.patch(name="place", changes={"toy_speech:Model.place": append("x")}),
        toy.patch(name="align", changes={"toy_speech:align": append("y")}),
    )
    assert [each.status for each in scope.report] == ["applied", "applied"]
    scope.close()
    assert "place" not in vars(toy.module.Model)
    assert "toy_speech:align could not be put back: not a third time" in caplog.text
    fragile.close()
    assert toy.module.align([]) == ["cuda"]


def test_the_device_is_that_of_the_newest_who_is_left(toy: Any):
    """A change asks for the device when it is used; kept by somebody after the end, it is told of none."""

    def tell(_function: Any, device_now: Any) -> Any:
        return lambda _times: device_now()

    patch = toy.patch(changes={"toy_speech:align": tell}, devices=("cpu", "mps", "cuda"))
    first = toy.apply(patch, device="cuda:1")
    second = toy.apply(patch, device="mps")
    kept = toy.module.align
    assert kept([]) == "mps"
    third = toy.apply(patch, device="cpu")
    assert kept([]) == "cpu"
    second.close()
    assert kept([]) == "cpu"
    third.close()
    assert kept([]) == "cuda:1"
    first.close()
    assert kept([]) == ""


def test_a_device_that_needs_no_patch_still_counts_as_the_newest(toy: Any):
    """Inside a scope for mps, one for cuda, where upstream is right, gets cuda and not mps."""
    patch = toy.patch(
        changes={"toy_speech:align": lambda _function, device_now: lambda _times: device_now()},
        devices=("mps", "cuda"),
        needed=lambda _originals, device: asrlab.patches.PatchDecision(
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


def test_the_look_is_at_what_upstream_put_there(toy: Any):
    """The objects given to ``needed`` are upstream's own, even where another patch holds; None where there is none."""
    seen: list[Any] = []

    def look(originals: tuple[Any, ...], _device: str) -> asrlab.patches.PatchDecision:
        seen.append(originals)
        return asrlab.patches.PatchDecision(status="retired", reason="")

    original, loader = toy.module.align, vars(toy.module.Model)["load"]
    places = dict.fromkeys(("toy_speech:align", "toy_speech:Model.load", "toy_speech:Model.gone"))
    with toy.apply(toy.patch()), toy.apply(toy.patch(name="look", changes=places, needed=look)):
        assert toy.module.align is not original
    assert [[a is b for a, b in zip(each, (original, loader, None), strict=True)] for each in seen] == [[True] * 3]


@pytest.mark.parametrize("look", [need("retired"), raising(KeyError("code"))], ids=["retired", "failed"])
def test_what_was_only_looked_at_is_looked_up_anew(toy: Any, theirs: Callable[..., Any], look: Any):
    """What other code puts there after a look is what the next scope changes and puts back."""
    toy.apply(toy.patch(needed=look, changes=dict.fromkeys(("toy_speech:align", "toy_speech:Model.load"))))
    toy.apply(toy.patch(name="half", changes=dict.fromkeys(("toy_speech:align", "toy_speech:Modell.load"))))
    toy.module.align = theirs
    with toy.apply(toy.patch()) as scope:
        assert scope.status("toy-align") == "applied"
        assert toy.module.align([]) == ["theirs", "patched"]
    assert toy.module.align is theirs


def test_what_other_code_changed_meanwhile_is_left_to_it(
    toy: Any, append: Any, theirs: Callable[..., Any], caplog: pytest.LogCaptureFixture
):
    """Other code changes what is patched: it is not overwritten, which is logged, and patching there again fails."""
    scope = toy.apply(toy.patch())
    toy.module.align = theirs
    for late in (toy.patch(), toy.patch(name="late", changes={"toy_speech:align": append("late")})):
        with toy.apply(late) as failed:
            assert failed.report[0].status == "failed"
            assert "toy_speech:align was changed by other code meanwhile" in failed.report[0].reason
    scope.close()
    assert toy.module.align is theirs
    assert "toy_speech:align was changed by other code meanwhile; asrlab leaves it as it is" in caplog.text
    with toy.apply(toy.patch()) as again:
        assert again.status("toy-align") == "applied"
    assert toy.module.align is theirs


def test_other_code_that_put_the_original_back_is_no_trouble(toy: Any, caplog: pytest.LogCaptureFixture):
    """Somebody else undid the change, to the same object or by deleting it: closing has nothing left to do."""
    original = toy.module.align
    scope = toy.apply(toy.patch(changes={"toy_speech:align": lambda *_: None, "toy_speech:Model.place": lambda *_: 0}))
    toy.module.align = original
    del toy.module.Model.place
    scope.close()
    assert toy.module.align is original
    assert "place" not in vars(toy.module.Model)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_reloaded_module_is_left_as_reloaded(toy: Any):
    """``importlib.reload`` brings new objects: they stay, and are patched the next time."""
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
    """A patch whose place belongs to torch fails, by whichever way the place is named."""
    pytest.importorskip("torch", reason="torch is not installed")
    import torch

    toy.module.nn = torch.nn
    for place in ("torch.nn:Module.to", "torch:cuda", "toy_speech:nn.Module.to"):
        with toy.apply(toy.patch(changes={place: append("x")})) as scope:
            assert scope.report[0].status == "failed"
            assert f"{place} belongs to torch" in scope.report[0].reason
    del toy.module.nn


def test_what_became_of_a_patch_is_logged_once(toy: Any, caplog: pytest.LogCaptureFixture):
    """An application is information, a failure is a warning, both once in a process, with the upstream link."""
    caplog.set_level(logging.INFO, logger="asrlab.patches")
    works = toy.patch(name="logged-works", reason="a reason")
    fails = toy.patch(name="logged-fails", needed=raising(KeyError("code")))
    for _ in range(3):
        toy.apply(works, fails).close()
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
        ("INFO", "patch logged-works for toy-speech on cpu: applied: not cpu (https://example.org/1)"),
        ("WARNING", "patch logged-fails for toy-speech on cpu: failed: KeyError: 'code' (https://example.org/1)"),
    ]


def test_a_patch_is_data(toy: Any):
    """It cannot be changed, and prints without its functions."""
    patch = toy.patch()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        patch.name = "other"
    assert "function" not in repr(patch)
    assert "toy-align" in repr(patch)
