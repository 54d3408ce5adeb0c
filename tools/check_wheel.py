"""Check the installed wheel in an environment with only asrlab's own requirements."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

ENGINES = ("ctranslate2", "faster_whisper", "liquid_audio", "torch", "transformers", "whisper")
WANTED = ("asrlab/py.typed", "*.dist-info/licenses/LICENSE", "*.dist-info/licenses/NOTICE")
RECORD = Path(__file__).resolve().parent.parent / "evidence" / "smoke-base.jsonl"
CLIPS = 5  # of the embedded smoke set


def fail(message: str) -> None:
    """End the check with a message."""
    sys.exit(f"check_wheel: {message}")


def check_content(wheel: Path) -> None:
    """Check that the wheel contains the type marker, the licences and the smoke clips, and nothing but asrlab."""
    with zipfile.ZipFile(wheel) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    for pattern in WANTED:
        if not any(name.match(pattern) for name in names):
            fail(f"{wheel.name} has no {pattern}")
    clips = [name for name in names if name.suffix == ".flac"]
    if len(clips) != CLIPS:
        fail(f"{wheel.name} has {len(clips)} FLAC clips, not {CLIPS}: the smoke set is not packed whole")
    strangers = {name.parts[0] for name in names if not name.parts[0].startswith("asrlab")}
    if strangers:
        fail(f"{wheel.name} also has {', '.join(sorted(strangers))}")


def check_no_engine() -> None:
    """Check that no engine and no torch is installed, without which the other checks prove nothing."""
    installed = importlib.metadata.packages_distributions()
    if found := [name for name in ENGINES if name in installed]:
        fail(f"{', '.join(found)} is installed beside the core; locks/core.txt must not bring it")


def run(*arguments: str) -> str:
    """Run the installed ``asrlab`` command and return what it prints on stdout."""
    command = [str(Path(sys.executable).with_name("asrlab")), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        fail(f"asrlab {' '.join(arguments)} ended with {result.returncode}: {result.stderr}")
    return result.stdout


def check_commands() -> None:
    """Check that the command line runs: its version, its models, a transcription by the echo engine, a report."""
    distribution = importlib.metadata.distribution("asrlab")
    if distribution.version not in run("--version"):
        fail(f"asrlab --version does not name {distribution.version}")
    if "echo/echo" not in json.dumps(json.loads(run("models", "--json"))):
        fail("asrlab models --json does not list echo/echo")
    clips = [file for file in distribution.files or [] if file.suffix == ".flac"]
    text = run("transcribe", str(clips[0].locate()), "--model", "echo/echo")
    if not text.strip():
        fail("asrlab transcribe --model echo/echo printed nothing")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        run("report", str(RECORD), "--output", str(page))
        if b"</html>" not in page.read_bytes():
            fail("asrlab report wrote no page")


def main() -> None:
    """Check the wheel named on the command line, which is installed beside this Python."""
    wheel = Path(sys.argv[1])
    check_content(wheel)
    check_no_engine()
    check_commands()
    print(f"check_wheel: {wheel.name} runs with its own requirements only", file=sys.stderr)


if __name__ == "__main__":
    main()
