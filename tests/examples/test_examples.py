"""The examples with a user's files, and their errors."""

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
def test_a_missing_file_is_reported_in_one_line(name: str, run: Run):
    """A missing file ends an example with exit code 1 and one line that names the file."""
    done = run(name, "missing.wav")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "missing.wav" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistyped_model_is_reported_in_one_line(run: Run):
    """An unknown model ends the comparison before any model runs, with a suggestion."""
    done = run("compare_models.py", "--models", "faster-whisper/base", "faster-whisper/bsae")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "faster-whisper/base" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unavailable_engine_is_reported_and_skipped(run: Run, clips: tuple[Path, ...]):
    """An unavailable engine is reported, the other engines run, and the exit code is 1."""
    done = run("swap_engines.py", clips[1], "--models", "no-such/engine", "echo")
    assert done.returncode == 1
    assert done.stderr.startswith("no-such/engine is not to be had: ")
    assert done.stdout.startswith("echo: loud loud ")


def test_a_folder_is_subtitled_despite_a_bad_file(work: Path, clips: tuple[Path, ...], run: Run):
    """Two clips, one in a subfolder, have subtitles; a broken file and a duplicate name are reported."""
    (work / "talks" / "more").mkdir(parents=True)
    shutil.copy(clips[1], work / "talks" / "a.flac")
    shutil.copy(clips[1], work / "talks" / "a.ogg")  # its subtitles would overwrite those of a.flac
    (work / "talks" / "b.mp3").write_bytes(b"<html>not audio</html>")
    shutil.copy(clips[4], work / "talks" / "more" / "c.flac")
    done = run("subtitle_folder.py", "talks", "-o", "talks")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["talks/a.srt", "talks/more/c.srt", "2 of 4 files have subtitles"]
    assert [word in done.stderr for word in ("a.ogg", "b.mp3", "Traceback")] == [True, True, False]
    assert not (work / "talks" / "b.srt").exists()
    first, times, text, *_ = (work / "talks" / "more" / "c.srt").read_text(encoding="utf-8").splitlines()
    assert (first, text) == ("1", "He might even have been made amiable")  # the first line of the cue
    assert re.fullmatch(r"00:00:0\d,\d{3} --> 00:00:0[12],\d{3}", times)


def test_a_stream_without_the_word_reports_its_duration(clips: tuple[Path, ...], run: Run):
    """If the word never occurs, the last line has the duration, and the exit code is 1."""
    done = run("stream_segments.py", clips[1], "--until", "lighthouse")
    assert (done.returncode, done.stderr) == (1, "")
    segment, total = done.stdout.splitlines()
    assert segment.endswith("He was not an ill-disposed young man.")
    assert total.startswith("2.99 s of audio in ")


def test_a_missing_text_is_reported_and_counted(work: Path, run: Run):
    """A reference without a hypothesis counts as deletions and is named, and the exit code is 1."""
    (work / "references.trn").write_text("hello there (a)\ngood bye (b)\n", encoding="utf-8")
    (work / "theirs.csv").write_text("utt_id,text\na,hello their\n", encoding="utf-8")
    done = run("score_texts.py", "theirs.csv", "--references", "references.trn")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "theirs.csv: WER 75.0% (1 other words, 2 missing, 0 too many, of 4)",
        "  no text for b: its words count as missing",
    ]


@pytest.fixture(scope="module")
def service(weights_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Start the service and yield its port; assert that Ctrl-C ends the service with exit code 0."""
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
        address = re.fullmatch(r"serving on http://127\.0\.0\.1:(\d+)\n", process.stdout.readline())
        yield int(address[1]) if address else 0
        try:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()  # the end of the block waits for the process
    assert "Traceback" not in errors.read_text()


def request(port: int, method: str, body: bytes | None = None, **headers: str) -> tuple[int, Mapping[str, object]]:
    """Send a request to the service, and return the status and the JSON of the response."""
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


def test_concurrent_clients_receive_their_own_texts(service: int, clips: tuple[Path, ...]):
    """Four concurrent requests with two clips receive the texts and words of their clips."""
    uploads = [clips[1], clips[4]] * 2
    with ThreadPoolExecutor(len(uploads)) as threads:
        responses = list(threads.map(lambda clip: request(service, "POST", clip.read_bytes()), uploads))
    texts = ["He was not an ill-disposed young man.", "He might even have been made amiable himself."]
    assert [(status, content["text"]) for status, content in responses] == [(200, text) for text in texts * 2]
    assert all(content["words"] for _, content in responses)


def test_invalid_requests_are_client_errors(service: int):
    """Text or an empty body is 400 with the reason, a missing or too large length is 413, and GET is 501."""
    status, content = request(service, "POST", b"<html>not audio</html>")
    assert (status, content["reason"]) == (400, "undecodable")
    assert request(service, "POST", b"")[0] == 400
    assert request(service, "POST")[0] == 413
    assert request(service, "POST", **{"Content-Length": str(2**40)})[0] == 413
    assert request(service, "GET")[0] == 501
