"""Build the smoke set from the sdist of pocketsphinx 5.1.1: ``python tools/build_smoke.py TARBALL [--check]``.

Writes the clips as FLAC and ``utterances.jsonl`` into ``src/asrlab/evaluation/datasets/smoke/``, and checks the
tarball and the original WAV files against the checksums below, and that each FLAC decodes to the samples of its WAV.
``--check`` writes nothing, and compares the set in the tree with the tarball instead.

Needs numpy and soundfile. Another version of libsndfile may compress the same samples to other bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import soundfile

TARBALL_SHA256 = "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355"
INSIDE = "pocketsphinx-5.1.1/test/data/librivox"
RECORDING = "sense_and_sensibility_01_austen_64kb"
WAV_SHA256 = {
    f"{RECORDING}-0870": "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c",
    f"{RECORDING}-0880": "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414",
    f"{RECORDING}-0890": "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10",
    f"{RECORDING}-0920": "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59",
    f"{RECORDING}-0930": "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7",
}
CORRECTIONS = {f"{RECORDING}-0920": ("a more a amiable woman", "a more amiable woman")}
TARGET = Path(__file__).parents[1] / "src" / "asrlab" / "evaluation" / "datasets" / "smoke"


def main() -> int:
    """Build or check the set; return 0 if the set is correct."""
    parser = argparse.ArgumentParser(description="Build the smoke set, or check it.")
    parser.add_argument("tarball", type=Path, help="the sdist pocketsphinx-5.1.1.tar.gz")
    parser.add_argument("--check", action="store_true", help="write nothing; compare the set in the tree")
    arguments = parser.parse_args()
    expect_sha256(arguments.tarball.read_bytes(), TARBALL_SHA256, str(arguments.tarball))
    with tarfile.open(arguments.tarball) as archive:
        waves = {name: member(archive, f"{name}.wav") for name in WAV_SHA256}
        texts = references(member(archive, "transcription").decode())
    for name, wave in waves.items():
        expect_sha256(wave, WAV_SHA256[name], f"{name}.wav")
    if not arguments.check:
        write(waves, texts)
    compare(waves, texts)
    return 0


def member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return the bytes of a file of the archive's LibriVox folder."""
    file = archive.extractfile(f"{INSIDE}/{name}")
    if file is None:
        sys.exit(f"{INSIDE}/{name} is not a file in the tarball")
    return file.read()


def references(transcription: str) -> dict[str, str]:
    """Return the texts by clip, from lines ``<s> TEXT </s> (CLIP)``, with the corrections applied."""
    texts = {}
    for line in transcription.splitlines():
        text, _, name = line.removeprefix("<s> ").removesuffix(")").partition(" </s> (")
        wrong, right = CORRECTIONS.get(name, ("", ""))
        if wrong not in text:
            sys.exit(f"the reference of {name} has no {wrong!r} to correct")
        texts[name] = text.replace(wrong, right) if wrong else text
    return texts


def write(waves: dict[str, bytes], texts: dict[str, str]) -> None:
    """Write the clips and the list of them."""
    lines = []
    for name, wave in waves.items():
        samples, rate = soundfile.read(io.BytesIO(wave), dtype="int16")
        soundfile.write(TARGET / f"{name}.flac", samples, rate, format="FLAC", subtype="PCM_16", compression_level=1.0)
        lines.append(json.dumps(fields(name, texts[name], len(samples) / rate)))
    (TARGET / "utterances.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def fields(name: str, text: str, duration: float) -> dict[str, str | float | int]:
    """Return a line of the list. The sdist does not name the readers, so the recording is the speaker."""
    flac = (TARGET / f"{name}.flac").read_bytes()
    return {
        "id": name,
        "audio_filepath": f"{name}.flac",
        "text": text,
        "language": "en",
        "speaker": RECORDING,
        "recording": RECORDING,
        "duration": duration,
        "size": len(flac),
        "sha256": hashlib.sha256(flac).hexdigest(),
    }


def compare(waves: dict[str, bytes], texts: dict[str, str]) -> None:
    """Exit with a message unless the set in the tree holds exactly these samples and texts."""
    lines = (TARGET / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
    if [json.loads(line)["id"] for line in lines] != list(waves):
        sys.exit("utterances.jsonl does not list exactly the five clips")
    for line in lines:
        entry = json.loads(line)
        name = entry["id"]
        ours, our_rate = soundfile.read(TARGET / entry["audio_filepath"], dtype="int16")
        theirs, their_rate = soundfile.read(io.BytesIO(waves[name]), dtype="int16")
        if our_rate != their_rate or not np.array_equal(ours, theirs):
            sys.exit(f"{entry['audio_filepath']} does not hold the samples of {name}.wav")
        if entry != fields(name, texts[name], len(theirs) / their_rate):
            sys.exit(f"the line of {name} in utterances.jsonl is not what the tarball gives")
    sys.stderr.write(f"{len(lines)} clips hold the samples and texts of the tarball\n")


def expect_sha256(data: bytes, expected: str, name: str) -> None:
    """Exit with a message unless *data* has the checksum."""
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        sys.exit(f"{name} has sha256 {actual}, not {expected}")


if __name__ == "__main__":
    sys.exit(main())
