from __future__ import annotations

import time

import numpy as np
import pytest

from asrlab.vad import find_repetition


@pytest.mark.parametrize(
    ("text", "phrase", "count"),
    [
        ("no " * 40, "no", 40),
        ("No, no, NO! " * 10, "No", 30),
        ("He said thanks. " + "Thank you. " * 20, "Thank you", 20),
        ("and I went to the store " * 3, "and I went to the store", 3),
        ("It began well. " + "so that is what we do, " * 6 + "so that is", "so that is what we do", 6),
        ("我们走吧。" + "谢谢大家" * 8, "谢谢大家", 8),
        ("はい、" * 10, "はい", 10),
        ("ขอบคุณ" * 6, "ขอบคุณ", 6),
        ("ha" * 200, "ha", 200),
        ("1" * 300, "1", 300),
        ("धन्यवाद मित्रों " * 9, "धन्यवाद मित्रों", 9),
    ],
)
def test_a_loop_is_found_with_its_phrase(text: str, phrase: str, count: int):
    """A phrase that is repeated far too often is a loop, in any script, case and punctuation."""
    loop = find_repetition(text)
    assert loop is not None
    assert (loop.phrase, loop.count) == (phrase, count)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "no no no no",
        "No! No, no, no, no, no, I said no.",
        "5 5 5 5",
        "my number is 0 0 0 0 0 0 0 5",
        "1,000,000,000,000 or 0.3333333333333333",
        "la la la la la la la la la la",
        "Never, never, never, never, never!",
        "Tomorrow, and tomorrow, and tomorrow, creeps in this petty pace from day to day",
        "let it be, let it be, let it be, let it be, whisper words of wisdom",
        "I don't want to go home now. I don't want to go home now. Do you?",
        "Row, row, row your boat gently down the stream, merrily, merrily, merrily, merrily, life is but a dream",
        "谢谢谢谢再见再见",
        "はい、はい、はい、はい、そうです",
        "哈哈哈哈哈哈哈",
        "はい、" * 9,
        "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
        "we shall fight on the beaches and in the fields, we shall fight on the beaches and in the fields",
    ],
)
def test_ordinary_speech_is_no_loop(text: str):
    """Emphasis, refrains, poems, numbers, laughter and long words are no loops."""
    assert find_repetition(text) is None


def test_a_loop_has_its_indices():
    """The indices of a loop enclose it, from its first word to its last."""
    text = f"We begin here. {'Over and over, ' * 8}over the hill."
    loop = find_repetition(text)
    assert loop is not None
    assert text[loop.start : loop.end].startswith("Over and over, Over and")
    assert text[loop.end :] == " the hill."


def test_the_longest_of_two_loops_is_returned():
    """Of two loops, the one with more words is returned."""
    loop = find_repetition(f"{'so it goes ' * 6} then {'far away ' * 30}")
    assert loop is not None
    assert loop.phrase == "far away"


def test_ten_thousand_words_take_no_time():
    """The time of the search grows with the words, not with their square."""
    words = np.array(["the", "a", "of", "and", "to", "in", "it", "he", "was", "that"])
    text = " ".join(np.random.default_rng(3).choice(words, 10_000).tolist())
    find_repetition("warm up")
    start = time.process_time()
    find_repetition(text)
    assert time.process_time() - start < 5
