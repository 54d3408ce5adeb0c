"""What the examples do with files of one's own, and with what goes wrong."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
type Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("name", ["transcribe_file.py", "stream_segments.py", "live_loop.py"])
def test_a_missing_file_is_a_line_not_a_traceback(name: str, run: Run):
    """A file that is not there ends an example with code 1 and one line that names it."""
    done = run(name, "gone.wav")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "gone.wav" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistyped_model_is_a_line_not_a_traceback(run: Run):
    """A model that does not exist ends the comparison before anything runs, naming what is near."""
    done = run("compare_models.py", "--models", "faster-whisper/base", "faster-whisper/bsae")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "faster-whisper/base" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_that_cannot_be_had_is_told_and_passed_over(run: Run, clips: tuple[Path, ...]):
    """The others still run; the exit code is 1."""
    done = run("swap_engines.py", clips[1], "--models", "no-such/engine", "echo")
    assert done.returncode == 1
    assert done.stderr.startswith("no-such/engine is not to be had: ")
    assert done.stdout.startswith("echo: loud loud ")


def test_a_folder_is_subtitled_past_a_bad_file(work: Path, clips: tuple[Path, ...], run: Run):
    """Two clips, one in a subfolder, get their subtitles; a broken one and one of the same name are reported."""
    (work / "talks" / "more").mkdir(parents=True)
    shutil.copy(clips[1], work / "talks" / "a.flac")
    shutil.copy(clips[1], work / "talks" / "a.ogg")  # known by its content; would overwrite the other's subtitles
    (work / "talks" / "b.mp3").write_bytes(b"<html>not audio</html>")
    shutil.copy(clips[4], work / "talks" / "more" / "c.flac")
    done = run("subtitle_folder.py", "talks", "-o", "talks")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["talks/a.srt", "talks/more/c.srt", "2 of 4 files have subtitles"]
    assert [word in done.stderr for word in ("a.ogg", "b.mp3", "Traceback")] == [True, True, False]
    assert not (work / "talks" / "b.srt").exists()
    first, times, text, *_ = (work / "talks" / "a.srt").read_text(encoding="utf-8").splitlines()
    assert (first, text.lower().replace("-", " ").rstrip(".")) == ("1", "he was not an ill disposed young man")
    assert re.fullmatch(r"00:00:0\d,\d{3} --> 00:00:0[12],\d{3}", times)


def test_a_stream_read_to_its_end_tells_what_it_took(clips: tuple[Path, ...], run: Run):
    """Without a word to wait for, the last line is the duration; with one that is never said, the code is 1."""
    done = run("stream_segments.py", clips[1], "--until", "lighthouse")
    assert (done.returncode, done.stderr) == (1, "")
    segment, total = done.stdout.splitlines()
    assert segment.endswith("He was not an ill-disposed young man.")
    assert total.startswith("2.99 s of audio in ")


def test_a_missing_text_is_told_and_counted(work: Path, run: Run):
    """A reference without a hypothesis counts as deletions, is named, and makes the exit code 1."""
    (work / "said.trn").write_text("hello there (a)\ngood bye (b)\n", encoding="utf-8")
    (work / "theirs.csv").write_text("utt_id,text\na,hello their\n", encoding="utf-8")
    done = run("score_texts.py", "theirs.csv", "--references", "said.trn")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "theirs.csv: WER 75.0% (1 other words, 2 missing, 0 too many, of 4)",
        "  no text for b: its words count as missing",
    ]


@pytest.fixture(scope="module")
def service(weights_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a running service; it ends with 0 on Ctrl-C."""
    import os

    environment = os.environ | {"ASRLAB_CACHE": str(weights_cache), "ASRLAB_OFFLINE": "1"}
    errors = tmp_path_factory.mktemp("service") / "errors"
    with (
        errors.open("w") as log,
        subprocess.Popen(
            [sys.executable, EXAMPLES / "web_service.py", "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        told = re.fullmatch(r"serving on http://127\.0\.0\.1:(\d+)\n", process.stdout.readline())
        yield int(told[1]) if told else 0
        try:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()  # leaving the block waits for it
    assert "Traceback" not in errors.read_text()


def answer(port: int, method: str, body: bytes | None = None, **headers: str) -> tuple[int, Mapping[str, object]]:
    """What the service says."""
    connection = HTTPConnection("127.0.0.1", port)
    try:
        connection.putrequest(method, "/")
        length = {} if body is None else {"Content-Length": str(len(body))}
        for name, value in (length | headers).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        is_json = (response.headers["Content-Type"] or "").startswith("application/json")
        return response.status, json.loads(content) if is_json else {}
    finally:
        connection.close()


def test_clients_at_once_each_get_their_own_text(service: int, clips: tuple[Path, ...]):
    """Four requests over two clips, sent at once to the one model, get the texts of their clips, with words."""
    sent = [clips[1], clips[4]] * 2
    with ThreadPoolExecutor(len(sent)) as threads:
        answers = list(threads.map(lambda clip: answer(service, "POST", clip.read_bytes()), sent))
    texts = ["He was not an ill-disposed young man.", "He might even have been made amiable himself."]
    assert [(status, content["text"]) for status, content in answers] == [(200, text) for text in texts * 2]
    assert all(content["words"] for _, content in answers)


def test_what_is_no_audio_is_a_client_error(service: int):
    """Text and nothing are 400 with the reason, a body without or with too great a length 413, and no crash."""
    status, content = answer(service, "POST", b"<html>not audio</html>")
    assert (status, content["reason"]) == (400, "undecodable")
    assert answer(service, "POST", b"")[0] == 400
    assert answer(service, "POST")[0] == 413
    assert answer(service, "POST", **{"Content-Length": str(2**40)})[0] == 413
    assert answer(service, "GET")[0] == 501
