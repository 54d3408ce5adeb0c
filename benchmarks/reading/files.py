"""The same utterances in each format that is read line by line, without audio, which reading does not open."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["FORMS"]

_WORDS = "when the rain had stopped they walked along the river to the old mill"


def _rows(count: int) -> Iterator[tuple[str, str, str, float]]:
    """Yield id, text, speaker and start of each utterance."""
    for number in range(count):
        yield f"u{number:06d}", f"{_WORDS} {number}", f"s{number % 100:02d}", number % 600 * 5.0


def _write_jsonl(path: Path, rows: Iterator[dict[str, Any]]) -> Path:
    open_file = gzip.open if path.suffix == ".gz" else open
    with open_file(path, "wt", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
    return path


def _audiofolder(folder: Path, count: int) -> Path:
    rows = ({"file_name": f"{name}.wav", "text": text, "speaker": speaker} for name, text, speaker, _ in _rows(count))
    _write_jsonl(folder / "metadata.jsonl", rows)
    return folder


def _nemo(folder: Path, count: int) -> Path:
    return _write_jsonl(folder / "manifest.jsonl", _objects(count))


def _nemo_gzipped(folder: Path, count: int) -> Path:
    return _write_jsonl(folder / "manifest.jsonl.gz", _objects(count))


def _objects(count: int) -> Iterator[dict[str, Any]]:
    for name, text, speaker, start in _rows(count):
        yield {
            "id": name,
            "audio_filepath": "a.wav",
            "offset": start,
            "duration": 4.5,
            "text": text,
            "speaker": speaker,
        }


def _table(folder: Path, count: int) -> Path:
    path = folder / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "path", "text", "speaker", "start", "duration"))
        writer.writerows((name, "a.wav", text, speaker, start, 4.5) for name, text, speaker, start in _rows(count))
    return path


def _common_voice(folder: Path, count: int) -> Path:
    (folder / "clips").mkdir()
    path = folder / "test.tsv"
    with path.open("w", encoding="utf-8") as file:
        file.write("client_id\tpath\tsentence\tlocale\n")
        file.writelines(f"{speaker}\t{name}.mp3\t{text}\ten\n" for name, text, speaker, _ in _rows(count))
    return path


def _kaldi(folder: Path, count: int) -> Path:
    (folder / "wav.scp").write_text("rec a.wav\n", encoding="utf-8")
    with (
        (folder / "text").open("w", encoding="utf-8") as texts,
        (folder / "segments").open("w", encoding="utf-8") as segments,
        (folder / "utt2spk").open("w", encoding="utf-8") as speakers,
    ):
        for name, text, speaker, start in _rows(count):
            texts.write(f"{name} {text}\n")
            segments.write(f"{name} rec {start} {start + 4.5}\n")
            speakers.write(f"{name} {speaker}\n")
    return folder


def _librispeech(folder: Path, count: int) -> Path:
    chapter = folder / "84" / "1"
    chapter.mkdir(parents=True)
    with (chapter / "84-1.trans.txt").open("w", encoding="utf-8") as file:
        file.writelines(f"{name} {text.upper()}\n" for name, text, _, _ in _rows(count))
    return folder


def _lhotse(folder: Path, count: int) -> Path:
    recording = {
        "id": "rec", "sources": [{"type": "file", "channels": [0], "source": "a.wav"}], "sampling_rate": 16000,
        "num_samples": 48_000_000, "duration": 3000.0,
    }  # fmt: skip
    rows = (
        {
            "id": f"c{name}", "start": start, "duration": 4.5, "channel": 0, "recording": recording, "type": "MonoCut",
            "supervisions": [
                {"id": name, "recording_id": "rec", "start": 0.0, "duration": 4.5, "text": text, "speaker": speaker}
            ],
        }
        for name, text, speaker, start in _rows(count)
    )  # fmt: skip
    return _write_jsonl(folder / "cuts.jsonl.gz", rows)


def _stm(folder: Path, count: int) -> Path:
    (folder / "talk.wav").touch()
    path = folder / "talk.stm"
    with path.open("w", encoding="utf-8") as file:
        for number, (_, text, speaker, _) in enumerate(_rows(count)):
            file.write(f"talk 1 {speaker} {number * 5.0:.2f} {number * 5.0 + 4.5:.2f} <NA> {text}\n")
    return path


FORMS: Mapping[str, Callable[[Path, int], Path]] = {
    "audiofolder": _audiofolder,
    "common-voice": _common_voice,
    "csv": _table,
    "kaldi": _kaldi,
    "lhotse, gzipped cuts": _lhotse,
    "librispeech": _librispeech,
    "nemo": _nemo,
    "nemo, gzipped": _nemo_gzipped,
    "stm": _stm,
}
"""Functions that write each format to a folder and return the path of the data set."""
