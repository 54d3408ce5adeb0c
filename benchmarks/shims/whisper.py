"""openai-whisper and ``asrlab.compat.whisper``: upstream's README unchanged, and every option once."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import whisper
from benchmarks.shims.comparison import Example
from benchmarks.shims.ffmpeg import path_with_ffmpeg
from whisper.transcribe import cli

import asrlab
import asrlab.compat.whisper as shim
from asrlab.compat.whisper.__main__ import main
from asrlab.weights import convert

__all__ = ["examples"]

RATE = 16_000
IMPORT, SHIM_IMPORT = "import whisper\n", "import asrlab.compat.whisper as whisper\n"
HINT = "Detecting"  # the start of the line that both packages word differently

# every option once; all except length_penalty change the result of this speech
OPTIONS: tuple[dict[str, Any], ...] = (
    {"word_timestamps": True, "prepend_punctuations": "was", "append_punctuations": "-", "suppress_tokens": [407, 290]},
    {
        "verbose": True,
        "language": "English",
        "fp16": False,
        "temperature": 0.8,
        "best_of": 3,
        "length_penalty": 0.0,
        "sample_len": 30,
    },
    {"beam_size": 2, "max_initial_timestamp": None},
    {"prefix": "Well", "sample_len": 5, "without_timestamps": True, "suppress_tokens": ""},
    {"compression_ratio_threshold": 0.1, "temperature": (0.0, 0.2), "sample_len": 30},
    {"logprob_threshold": 0.0, "no_speech_threshold": 0.0, "temperature": 0.0},
)
# for two clips with silence between them
GAPPED_OPTIONS: tuple[dict[str, Any], ...] = (
    {"word_timestamps": True, "condition_on_previous_text": False, "clip_timestamps": "0,3.2,7.0"},
    {
        "initial_prompt": "Jane Austen",
        "carry_initial_prompt": True,
        "condition_on_previous_text": False,
        "clip_timestamps": "0,3.2,7.0",
    },
)
NO_FALLBACK = {"temperature": 0.0, "no_speech_threshold": None}
NOISE_OPTIONS: tuple[dict[str, Any], ...] = (
    {"temperature": (0.0, 0.4, 0.8)},
    {"beam_size": 2, "patience": 4.0, "without_timestamps": True, **NO_FALLBACK},
    {"without_timestamps": True, "suppress_blank": False, "sample_len": 5, **NO_FALLBACK},
    {"word_timestamps": True, "hallucination_silence_threshold": 0.5, "clip_timestamps": "0,4", **NO_FALLBACK},
)


class Models:
    """The clips, the weights in openai-whisper's format, and the loaded models of tiny.en.

    Args:
        folder: Folder for the weights.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        clips = [asrlab.load_audio(utterance.audio).samples for utterance in asrlab.evaluation.load_dataset("smoke")]
        gap = np.zeros(2 * RATE, np.float32)
        self.short = self._write_file("short.flac", clips[1])
        self.long = self._write_file("long.flac", np.concatenate([part for clip in clips for part in (clip, gap)]))
        self.gapped = self._write_file("gapped.flac", np.concatenate([clips[1], gap, gap, clips[4]]))
        self.silence = self._write_file("silence.flac", np.zeros(40 * RATE, np.float32))
        noise = np.random.default_rng(1).normal(0, 0.2, 8 * RATE).clip(-1, 1)
        self.noise = self._write_file("noise.flac", noise.astype(np.float32))

    def _write_file(self, name: str, samples: np.ndarray) -> Path:
        """Write 16 bits at 16 kHz, which both packages decode to identical samples."""
        soundfile.write(self.folder / name, samples, RATE, subtype="PCM_16")
        return self.folder / name

    @cached_property
    def base(self) -> Path:
        """The checkpoint of base."""
        return self._write_checkpoint("base")

    @cached_property
    def tiny(self) -> Path:
        """The checkpoint of tiny.en."""
        return self._write_checkpoint("tiny.en")

    def _write_checkpoint(self, name: str) -> Path:
        converted = convert(asrlab.weights_path(f"faster-whisper/{name}", offline=True))
        path = self.folder / f"{name}.pt"
        torch.save({"dims": converted.dims.as_dict(), "model_state_dict": dict(converted.state_dict)}, path)
        return path

    @cached_property
    def raw(self) -> Any:
        """tiny.en in openai-whisper."""
        return whisper.load_model(str(self.tiny), device="cpu")

    @cached_property
    def ours(self) -> shim.Model:
        """tiny.en in the drop-in replacement."""
        return shim.load_model(str(self.tiny), device="cpu")


def examples() -> Iterator[Example]:
    """Return the examples: upstream's README, then the options."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        _set_path(path_with_ffmpeg(Path(folder)), stack)
        models = Models(Path(folder))
        yield from _functions(models)
        yield from _readme_python(models)
        yield from _readme_commands(models)
        yield from _options(models)


def _set_path(path: str, stack: contextlib.ExitStack) -> None:
    before = os.environ["PATH"]
    os.environ["PATH"] = path
    stack.callback(os.environ.__setitem__, "PATH", before)


def _functions(models: Models) -> Iterator[Example]:
    def call_functions(module: Any) -> dict[str, Any]:
        samples = module.load_audio(str(models.short))
        spectrogram = module.log_mel_spectrogram(samples, padding=100)
        return {
            "available_models": module.available_models(),
            "load_audio": samples,
            "load_audio sr": len(module.load_audio(str(models.short), sr=8000)),
            "pad_or_trim": module.pad_or_trim(samples),
            "log_mel_spectrogram": spectrogram,
            "torch.stack": torch.stack([spectrogram, spectrogram])[:, 3, 7],
            "pad_or_trim mel": module.pad_or_trim(spectrogram, 3000),
        }

    yield Example(name="functions", upstream=partial(call_functions, whisper), shim=partial(call_functions, shim))


def _readme_python(models: Models) -> Iterator[Example]:
    for number, block in enumerate(_blocks("python"), start=1):
        # the README's name with FLAC content, which both packages recognize
        audio = shutil.copy(models.long if number == 1 else models.short, models.folder / "audio.mp3")
        model = models.base if "detect_language" in block else models.tiny
        source = block.replace('"turbo"', repr(str(model))).replace("audio.mp3", str(audio))
        if IMPORT not in source:
            raise ValueError(f"openai-whisper's README has changed: no {IMPORT!r} in {source!r}")
        ways = (partial(_execute, source), partial(_execute, source.replace(IMPORT, SHIM_IMPORT)))
        yield Example(name=f"README, Python {number}", upstream=ways[0], shim=ways[1])


def _blocks(language: str) -> list[str]:
    text = str(metadata.metadata("openai-whisper").get_payload())
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _execute(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(source, names)  # noqa: S102 - upstream's own README
    result = {name: names[name] for name in ("audio", "mel", "_", "probs", "result") if name in names}
    if dataclasses.is_dataclass(result["result"]):
        result["result"] = vars(result["result"])
    if "probs" in result:
        result["probs"] = {"languages": list(result["probs"]), "probabilities": np.array([*result["probs"].values()])}
    return result | {"printed": printed.getvalue()}


def _readme_commands(models: Models) -> Iterator[Example]:
    wave = soundfile.read(models.short, dtype="int16")[0]
    for name in ("audio.wav", "japanese.wav"):
        soundfile.write(models.folder / name, wave, RATE, subtype="PCM_16")
    for name in ("audio.flac", "audio.mp3"):
        shutil.copy(models.short, models.folder / name)
    lines = [line for block in _blocks("bash") for line in block.splitlines() if re.match(r"whisper \w+\.", line)]
    lines = [line.replace("Japanese", "English") for line in lines]  # the language of the clips
    words = "whisper audio.flac --word_timestamps True --highlight_words True --max_line_width 18 --max_line_count 2"
    quiet = "whisper audio.flac --output_format srt --verbose False --threads 1"
    for line in (*lines, words, quiet):
        slow = line == quiet or ("--language" in line and "--task" not in line)
        ways = (partial(_run_command, models, line, way) for way in (_run_upstreams_command, main))
        yield Example(name=line, upstream=next(ways), shim=next(ways), slow=slow)


def _run_upstreams_command(arguments: list[str]) -> int:
    before, sys.argv = sys.argv, ["whisper", *arguments]
    try:
        cli()
    finally:
        sys.argv = before
    return 0


def _run_command(models: Models, line: str, command: Callable[[list[str]], int]) -> dict[str, Any]:
    """Run a command with a loaded model, and return its files and its output."""
    model = models.base if "--language" in line else models.tiny
    arguments = re.sub(r" --model \w+", "", line)
    paths = [str(models.folder / word) if "." in word else word for word in shlex.split(arguments)[1:]]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()) as printed:
        with contextlib.redirect_stderr(io.StringIO()):
            code = command([*paths, "--model", str(model), "--device", "cpu", "--output_dir", out])
        files = {path.name: _content(path) for path in sorted(Path(out).iterdir())}
    printed_text = "".join(part for part in printed.getvalue().splitlines(keepends=True) if not part.startswith(HINT))
    return {"code": code, "files": files, "printed": printed_text}


def _content(path: Path) -> Any:
    """Return the bytes of a file; for JSON, the numbers and the rest, because numbers may differ by rounding."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".json":
        return content.encode()
    number = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
    return {"around": re.sub(number, "0", content).encode(), "numbers": np.array(re.findall(number, content), float)}


def _options(models: Models) -> Iterator[Example]:
    cases = [(models.short, options) for options in OPTIONS] + [(models.gapped, options) for options in GAPPED_OPTIONS]
    cases += [(models.silence, {}), *((models.noise, options) for options in NOISE_OPTIONS)]
    for path, options in cases:
        description = ", ".join(f"{name}={value!r}" for name, value in options.items())
        way = partial(_transcribe, path, options)
        name = f"{path.stem}, {description or 'defaults'}"
        yield Example(name=name, upstream=lambda way=way: way(models.raw), shim=lambda way=way: way(models.ours))


def _transcribe(path: Path, options: dict[str, Any], model: Any) -> dict[str, Any]:
    torch.manual_seed(3)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        result = model.transcribe(str(path), **options)
    return {**result, "printed": printed.getvalue()}
