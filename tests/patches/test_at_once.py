"""Patches come and go in several threads, in the midst of each other, and in forked processes."""

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
    """Something that keeps a scope open until it is collected, as a transcriber does."""

    def __init__(self, scope: PatchScope) -> None:
        weakref.finalize(self, scope.close)


def test_threads_that_come_and_go_leave_the_package_as_it_was(toy: Any, append: Any):
    """Four threads apply and undo two patches of one function 200 times each; each sees its own change."""
    original = toy.module.align
    wrong: list[object] = []

    def come_and_go(patch: Patch, word: str) -> None:
        try:
            for _ in range(200):
                with toy.apply(patch) as scope:
                    if scope.report[0].status != "applied" or word not in toy.module.align([]):
                        wrong.append((scope.report, toy.module.align([])))
        except BaseException as error:  # noqa: BLE001 - told by the test
            wrong.append(error)

    patches = {word: toy.patch(name=word, changes={"toy_speech:align": append(word)}) for word in "ab"}
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=come_and_go, args=(patches[word], word)) for word in "abab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert wrong == []
    assert toy.module.align is original


def test_a_scope_that_ends_in_the_midst_of_an_application_is_undone(toy: Any):
    """A transcriber is collected while this very thread looks at whether the patch is needed: nothing stays behind."""
    original = toy.module.align
    owners = [Owner(toy.apply(toy.patch()))]

    def look(_originals: Any, _device: str) -> asrlab.patches.PatchDecision:
        owners.clear()
        gc.collect()
        return asrlab.patches.PatchDecision(status="needed", reason="")

    scope = toy.apply(toy.patch(needed=look))
    assert owners == []
    assert toy.module.align([]) == ["cuda", "patched"]
    scope.close()
    assert toy.module.align is original


def test_closing_never_waits_for_a_thread_that_applies(toy: Any, append: Any):
    """While another thread is at a patch, closing comes back at once, and that thread undoes what was closed."""
    original = toy.module.align
    looking, go_on = threading.Event(), threading.Event()

    def look(_originals: Any, _device: str) -> asrlab.patches.PatchDecision:
        looking.set()
        assert go_on.wait(30)
        return asrlab.patches.PatchDecision(status="not-needed", reason="")

    scope = toy.apply(toy.patch())
    slow = toy.patch(name="slow", changes={"toy_speech:Model.place": append("x")}, needed=look)
    other = threading.Thread(target=toy.apply, args=(slow,))
    other.start()
    assert looking.wait(30)
    scope.close()
    assert toy.module.align([]) == ["cuda", "patched"]
    go_on.set()
    other.join()
    assert toy.module.align is original


FORK = """
import os, sys, threading
import asrlab
from asrlab.patches import PatchSelection, apply_patches

def patch(name, needed):
    return asrlab.patches.Patch(name=name, distribution="asrlab", versions=(), devices=("cpu",), reason="", link="", retires="",
                        module="json", changes={"json:dumps": lambda function, _device: lambda value: "patched"},
                        needed=needed)

looking, go_on = threading.Event(), threading.Event()
def look(originals, device):
    looking.set()
    go_on.wait(30)
    return asrlab.patches.PatchDecision(status="not-needed", reason="")
needed = lambda originals, device: asrlab.patches.PatchDecision(status="needed", reason="")
apply = lambda each: apply_patches([each], "cpu", choice=PatchSelection())
other = threading.Thread(target=apply, args=(patch("slow", look),))
other.start()
looking.wait(30)
child = os.fork()
if not child:
    import json
    with apply(patch("quick", needed)):
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
go_on.set()
other.join()
print(status)
"""


@pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="this system has no fork")
def test_a_forked_child_can_patch_though_a_thread_was_at_it():
    """A process forked while another thread holds the lock does not wait for that thread, which it does not have."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0", done.stderr
