"""faster-whisper and ``asrlab.compat.faster_whisper``: upstream's README unchanged, and its options in groups."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import faster_whisper
import numpy as np
import soundfile
from benchmarks.shims.comparison import Example

import asrlab
from asrlab.compat import faster_whisper as shim

__all__ = ["examples"]

RATE = 16_000
LOADED = {"device": "cpu", "compute_type": "int8", "cpu_threads": 1}
# With one encoding for language and text, the language is detected without the half frame after the audio.
TOLERANCES = {"info.language_probability": 0.005, "probabilities": 0.005, "printed": 0.0}
OPTIONS: tuple[dict[str, Any], ...] = (
    {"word_timestamps": True, "prepend_punctuations": "-", "append_punctuations": ".", "beam_size": 1},
    {"patience": 2.0, "length_penalty": 0.5, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3},
    {"prefix": "So", "suppress_blank": False, "suppress_tokens": [11, 13], "max_initial_timestamp": 0.5},
    {"without_timestamps": True, "max_new_tokens": 12, "chunk_length": 20, "hotwords": "Dashwood"},
    {"no_speech_threshold": 0.2, "condition_on_previous_text": False, "initial_prompt": "Jane Austen wrote:"},
    {"task": "translate", "language": "en", "clip_timestamps": "1.0,4.0", "temperature": [0.0, 0.4]},
)


def examples() -> Iterator[Example]:
    """Return the examples, each with the weights of base, in int8 on one thread."""
    folder = asrlab.weights_path("faster-whisper/base", offline=True)
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        clips = [asrlab.load_audio(utterance.audio).samples for utterance in asrlab.evaluation.load_dataset("smoke")]
        gap = np.zeros(3 * RATE, np.float32)
        soundfile.write("audio.flac", clips[0], RATE, subtype="PCM_16")
        soundfile.write("long.flac", np.concatenate([*clips, gap, *clips]), RATE, subtype="PCM_16")
        Path("weights").symlink_to(folder)
        for number, code in enumerate(_readme(), start=1):
            title = f"README {number}"
            yield Example(
                name=title,
                upstream=partial(_run, code, faster_whisper),
                shim=partial(_run, code, shim),
                tolerances=TOLERANCES,
            )
        for options in OPTIONS:
            yield _transcription(f"{', '.join(options)}", "audio.flac", options)
        yield _transcription("a long recording, words", "long.flac", {"word_timestamps": True}, slow=True)
        yield _transcription("a long recording, filter", "long.flac", {"vad_filter": True}, slow=True)


def _readme() -> Iterator[str]:
    """Return the code of upstream's README, without batches, whose texts differ by design, and without a download."""
    text = str(metadata.metadata("faster-whisper").get_payload()) or metadata.metadata("faster-whisper")["Description"]
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        if "Batched" in code or "username/" in code:
            continue
        yield (
            code.replace('device="cuda", compute_type="float16"', 'device="cpu", compute_type="int8", cpu_threads=1')
            .replace("audio.mp3", "audio.flac")
            .replace('"large-v3"', '"weights"')
            .replace('"distil-large-v3"', '"weights"')
            .replace('"whisper-large-v3-ct2"', '"weights", device="cpu", cpu_threads=1')
        )


def _run(code: str, module: ModuleType) -> dict[str, Any]:
    """Run the code and return its output and variables; only the import differs."""
    code = code.replace("from faster_whisper import", f"from {module.__name__} import")
    names: dict[str, Any] = {"faster_whisper": module, "model": module.WhisperModel("weights", **LOADED)}
    out = io.StringIO()
    with asrlab.patches.patched("faster-whisper"), contextlib.redirect_stdout(out):
        exec(code, names)  # noqa: S102 - upstream's README
        result = {"printed": re.sub(r"probability \S+", "probability", out.getvalue())}
        segments, info = names.get("segments", ()), names.get("info")
        recognized = [dataclasses.asdict(segment) for segment in segments]
    return result | ({"segments": recognized} if recognized else {}) | (_plain(info) if info is not None else {})


def _transcription(name: str, audio: str, options: dict[str, Any], *, slow: bool = False) -> Example:
    def work(module: ModuleType) -> dict[str, Any]:
        model = module.WhisperModel("weights", **LOADED)
        with asrlab.patches.patched("faster-whisper"):
            segments, info = model.transcribe(audio, **options)
            return {"segments": [dataclasses.asdict(segment) for segment in segments], **_plain(info)}

    return Example(
        name=name, upstream=partial(work, faster_whisper), shim=partial(work, shim), slow=slow, tolerances=TOLERANCES
    )


def _plain(info: Any) -> dict[str, Any]:
    """Return the fields of the info, without the two options that upstream expands."""
    fields = dataclasses.asdict(info)
    options = fields.pop("transcription_options")
    languages = fields.pop("all_language_probs")
    unexpanded = [item for item in options.items() if item[0] not in ("suppress_tokens", "clip_timestamps")]
    return {
        "info": fields,
        "options": unexpanded,
        "probabilities": np.array([probability for _, probability in sorted(languages or ())]),
        "languages": sorted(language for language, _ in languages or ()),
    }
