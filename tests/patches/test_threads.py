"""Patches are applied and undone in several threads at once, and in forked processes."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest

import asrlab
from asrlab.patches import Patch, PatchScope


class Owner:
    """An object that keeps a scope open until it is garbage collected, as a transcriber does."""

    def __init__(self, scope: PatchScope) -> None:
        weakref.finalize(self, scope.close)


def test_threads_restore_the_package(toy: Any, append: Any):
    """Four threads apply and undo two patches of a function 200 times, and each finds its own change."""
    original = toy.module.align
    failures: list[object] = []

    def apply_and_undo(patch: Patch, word: str) -> None:
        try:
            for _ in range(200):
                with toy.apply(patch) as scope:
                    if scope.report[0].status != "applied" or word not in toy.module.align([]):
                        failures.append((scope.report, toy.module.align([])))
        except BaseException as error:  # noqa: BLE001 - the test reports it
            failures.append(error)

    patches = {word: toy.patch(name=word, changes={"toy_speech:align": append(word)}) for word in "ab"}
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=apply_and_undo, args=(patches[word], word)) for word in "abab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert failures == []
    assert toy.module.align is original


def test_a_scope_that_ends_during_an_application_is_undone(toy: Any):
    """The patches of an owner that is collected while this thread checks a patch are undone."""
    original = toy.module.align
    owners = [Owner(toy.apply(toy.patch()))]

    def check(_originals: Any, _device: str) -> asrlab.patches.PatchDecision:
        owners.clear()
        gc.collect()
        return asrlab.patches.PatchDecision(status="needed", reason="")

    scope = toy.apply(toy.patch(check=check))
    assert owners == []
    assert toy.module.align([]) == ["cuda", "patched"]
    scope.close()
    assert toy.module.align is original


def test_closing_does_not_wait_for_an_applying_thread(toy: Any, append: Any):
    """Closing returns at once while another thread applies a patch, and that thread undoes the closed scope."""
    original = toy.module.align
    checking, resume = threading.Event(), threading.Event()

    def check(_originals: Any, _device: str) -> asrlab.patches.PatchDecision:
        checking.set()
        assert resume.wait(30)
        return asrlab.patches.PatchDecision(status="not-needed", reason="")

    scope = toy.apply(toy.patch())
    slow = toy.patch(name="slow", changes={"toy_speech:Model.device": append("x")}, check=check)
    other = threading.Thread(target=toy.apply, args=(slow,))
    other.start()
    assert checking.wait(30)
    scope.close()
    assert toy.module.align([]) == ["cuda", "patched"]
    resume.set()
    other.join()
    assert toy.module.align is original


FORK = """
import os, sys, threading
import asrlab
from asrlab.patches import PatchSelection, apply_patches

def patch(name, check):
    return asrlab.patches.Patch(name=name, distribution="asrlab", versions=(), devices=("cpu",), reason="",
                        issue_url="", obsolete_when="",
                        module="json", changes={"json:dumps": lambda function, _device: lambda value: "patched"},
                        check=check)

checking, resume = threading.Event(), threading.Event()
def wait_and_decline(originals, device):
    checking.set()
    resume.wait(30)
    return asrlab.patches.PatchDecision(status="not-needed", reason="")
need = lambda originals, device: asrlab.patches.PatchDecision(status="needed", reason="")
apply = lambda patch: apply_patches([patch], "cpu", selection=PatchSelection())
other = threading.Thread(target=apply, args=(patch("slow", wait_and_decline),))
other.start()
checking.wait(30)
child = os.fork()
if not child:
    import json
    with apply(patch("quick", need)):
        inside = json.dumps(1)
    os._exit(0 if (inside, json.dumps(1)) == ("patched", "1") else 1)
for _ in range(300):
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        break
    threading.Event().wait(0.1)
else:
    os.kill(child, 9)
    status = "hangs"
resume.set()
other.join()
print(status)
"""


@pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="this system has no fork")
def test_a_forked_child_can_apply_patches():
    """A process forked while another thread holds the lock does not wait for that thread."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0", done.stderr
