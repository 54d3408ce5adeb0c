"""Which patches a user wants: ``auto``, ``off`` or names."""

from __future__ import annotations

from typing import Any

import pytest

import asrlab
from asrlab.patches import PatchSelection, apply_patches


def fail(*_: Any) -> asrlab.patches.PatchDecision:
    """A look at the objects that raises."""
    raise KeyError("code")


def chosen(toy: Any, given: Any) -> dict[str, str]:
    """Why each of three patches is left out, by name; empty where it is not."""
    patches = (toy.patch(name="a"), toy.patch(name="b"), toy.patch(name="direct", direct_use=True))
    choice = PatchSelection.of(given, patches)
    return {patch.name: choice.forbids(patch, direct=False) for patch in patches}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("auto", "a b"),
        ("off", ""),
        ("", ""),
        ((), ""),
        ("b", "b"),
        (" a , direct ", "a direct"),
        (["direct"], "direct"),
        (iter("ab"), "a b"),
    ],
    ids=["auto", "off", "empty", "none", "name", "list in text", "list", "iterator"],
)
def test_the_choice_says_which_patches_may_be_applied(toy: Any, given: Any, taken: str):
    """``auto``, ``off``, a name, names with commas, or any iterable of names; ``direct_use`` only if named."""
    assert [name for name, why_not in chosen(toy, given).items() if not why_not] == taken.split()


def test_the_environment_chooses_where_the_call_does_not(toy: Any, monkeypatch: pytest.MonkeyPatch):
    """``ASRLAB_PATCHES`` is read for None alone, and a skipped patch names it; empty is as if it were not set."""
    monkeypatch.setenv("ASRLAB_PATCHES", "off")
    assert chosen(toy, None)["a"] == "not among ASRLAB_PATCHES='off'"
    assert chosen(toy, "auto")["a"] == ""
    monkeypatch.setenv("ASRLAB_PATCHES", "")
    assert chosen(toy, None)["a"] == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("toy-alin", "patches: there is no patch 'toy-alin'; did you mean 'toy-align'? to see all: asrlab patches"),
        ("of", "did you mean 'off'?"),
        ("quite other", "there are toy-align; to see all: asrlab patches"),
        ("auto,toy-align", "'auto' cannot stand beside other names"),
        (["off", "toy-align"], "'off' cannot stand beside other names"),
    ],
)
def test_a_name_that_no_patch_has_is_refused(toy: Any, given: Any, message: str):
    """The message has a near name, or all names."""
    with pytest.raises(asrlab.PatchError) as refused:
        PatchSelection.of(given, [toy.patch()])
    assert message in str(refused.value)


def test_a_patch_that_was_named_must_not_fail(toy: Any):
    """Asked for by name, a failure is an error, and the others of the scope are undone; by ``auto`` it is a status."""
    original = toy.module.align
    patches = (toy.patch(name="works"), toy.patch(name="fails", needed=fail))
    for given in ("auto", "works"):
        choice = PatchSelection.of(given, patches)
        with apply_patches(patches, "cpu", choice=choice) as scope:
            scope.require(choice)
            assert toy.module.align is not original
    choice = PatchSelection.of("works,fails", patches)
    scope = apply_patches(patches, "cpu", choice=choice)
    with pytest.raises(
        asrlab.PatchError, match=r"'fails' cannot be applied \(KeyError: 'code'\); leave it out"
    ) as told:
        scope.require(choice)
    assert told.value.patch == "fails"
    assert toy.module.align is original
