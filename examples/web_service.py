"""Offer transcription over HTTP with the standard library alone: audio is posted, JSON comes back.

Run ``python examples/web_service.py`` to see it answer two clips that come with asrlab, sent at once; or with ``--port
8000`` to let it serve, and then ``curl --data-binary @talk.mp3 localhost:8000``.
"""

import argparse
import contextlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import asrlab

MOST_BYTES = 100 * 2**20


class Handler(BaseHTTPRequestHandler):
    """Answers one request; the server gives each a thread of its own."""

    transcriber: asrlab.Transcriber  # one for all threads: their calls take turns, and the memory is that of one model
    timeout = 30  # seconds that a client may be silent for

    def do_POST(self) -> None:
        """Transcribe the body: 400 where it cannot be read, 413 where it is too long or does not say how long it is."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return self.answer(413, {"error": f"send {MOST_BYTES} bytes at most, and Content-Length"})
        try:
            transcript = self.transcriber.transcribe(self.rfile.read(int(length)), word_timestamps=True)
        except asrlab.AudioError as error:
            return self.answer(400, {"error": str(error), "reason": error.reason})
        return self.answer(200, transcript.to_dict())

    def answer(self, status: int, content: dict[str, object]) -> None:
        """Send *content* as JSON."""
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> int:
    """Serve on this machine until Ctrl-C, or show two answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, help="0 for any that is free")
    port = parser.parse_args().port
    with (
        asrlab.load("faster-whisper/base") as Handler.transcriber,
        ThreadingHTTPServer(("127.0.0.1", port or 0), Handler) as server,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(f"serving on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever() if port is not None else show(server)
    return 0


def show(server: ThreadingHTTPServer) -> None:
    """Send two clips at once."""

    def answer(audio: Path) -> str:
        with urlopen(f"http://127.0.0.1:{server.server_port}", data=audio.read_bytes()) as answer:
            return json.load(answer)["text"]

    clips = [utterance.audio for utterance in asrlab.evaluation.load_dataset("smoke")][:2]
    with ThreadPoolExecutor() as threads:
        threads.submit(server.serve_forever)
        try:
            print(*threads.map(answer, clips), sep="\n")
        finally:
            server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
