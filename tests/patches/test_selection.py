"""The selection of patches: ``auto``, ``off`` or names."""

from __future__ import annotations

from typing import Any

import pytest

import asrlab
from asrlab.patches import PatchSelection, apply_patches


def fail(*_: Any) -> asrlab.patches.PatchDecision:
    """Raise an error, as a failing check does."""
    raise KeyError("code")


def skip_reasons(toy: Any, given: Any) -> dict[str, str]:
    """Return the reason to skip each of three patches, by name; empty for a selected patch."""
    patches = (toy.patch(name="a"), toy.patch(name="b"), toy.patch(name="direct", direct_use=True))
    selection = PatchSelection.parse(given, patches)
    return {patch.name: selection.why_skipped(patch, direct=False) for patch in patches}


@pytest.mark.parametrize(
    ("given", "selected"),
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
def test_a_selection_can_have_several_forms(toy: Any, given: Any, selected: str):
    """A selection is ``auto``, ``off``, a name, names with commas, or an iterable; ``direct_use`` must be named."""
    assert [name for name, reason in skip_reasons(toy, given).items() if not reason] == selected.split()


def test_the_environment_selects_by_default(toy: Any, monkeypatch: pytest.MonkeyPatch):
    """``ASRLAB_PATCHES`` is read only for None; an empty variable counts as not set."""
    monkeypatch.setenv("ASRLAB_PATCHES", "off")
    assert skip_reasons(toy, None)["a"] == "not among ASRLAB_PATCHES='off'"
    assert skip_reasons(toy, "auto")["a"] == ""
    monkeypatch.setenv("ASRLAB_PATCHES", "")
    assert skip_reasons(toy, None)["a"] == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "toy-alin",
            "patches: there is no patch 'toy-alin'; did you mean 'toy-align'? to list all, run: asrlab patches",
        ),
        ("of", "did you mean 'off'?"),
        ("quite other", "choose from toy-align; to list all, run: asrlab patches"),
        ("auto,toy-align", "'auto' cannot be combined with names"),
        (["off", "toy-align"], "'off' cannot be combined with names"),
    ],
)
def test_an_unknown_name_is_refused(toy: Any, given: Any, message: str):
    """The message for an unknown patch has a similar name, or all names."""
    with pytest.raises(asrlab.PatchError) as refused:
        PatchSelection.parse(given, [toy.patch()])
    assert message in str(refused.value)


def test_the_failure_of_a_named_patch_is_an_error(toy: Any):
    """The failure of a named patch is an error that undoes the scope; with ``auto`` it is only a status."""
    original = toy.module.align
    patches = (toy.patch(name="works"), toy.patch(name="fails", check=fail))
    for given in ("auto", "works"):
        selection = PatchSelection.parse(given, patches)
        with apply_patches(patches, "cpu", selection=selection) as scope:
            scope.require(selection)
            assert toy.module.align is not original
    selection = PatchSelection.parse("works,fails", patches)
    scope = apply_patches(patches, "cpu", selection=selection)
    with pytest.raises(
        asrlab.PatchError, match=r"'fails' cannot be applied \(KeyError: 'code'\); leave it out"
    ) as caught:
        scope.require(selection)
    assert caught.value.patch == "fails"
    assert toy.module.align is original
