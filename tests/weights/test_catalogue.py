from __future__ import annotations

import re
import subprocess
import sys

import pytest

from asrlab.errors import WeightsError
from asrlab.weights import WeightsFile, entries, entry


def test_every_faster_whisper_size_is_in_the_catalogue():
    """Every repository that faster-whisper knows has an entry."""
    utils = pytest.importorskip("faster_whisper.utils", reason="faster-whisper is not installed")
    known = {entry.key for entry in entries()}
    assert {repository.lower() for repository in utils._MODELS.values()} <= known  # noqa: SLF001


def test_every_openai_checkpoint_is_in_the_catalogue_with_the_checksum_of_its_address():
    """The addresses and checksums are those of openai-whisper."""
    whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed")
    urls = {entry.url: entry for entry in entries() if entry.format == "openai-pt"}
    assert set(urls) == set(whisper._MODELS.values())  # noqa: SLF001
    assert all(entry.main_file.sha256 == url.split("/")[-2] for url, entry in urls.items())


def test_every_hub_entry_is_pinned_to_a_commit():
    """No entry follows a branch."""
    assert all(re.fullmatch("[0-9a-f]{40}", entry.revision) for entry in entries() if entry.repository)


def test_keys_and_models_are_unique():
    """No two entries share a key or a model."""
    assert len({entry.key for entry in entries()}) == len({each.model for each in entries()}) == len(entries())


def test_a_carrier_provides_every_file_of_its_entry():
    """An entry is carried whole or not at all."""
    carried = [each for each in entries() if each.carriers]
    assert [each.model for each in carried] == ["faster-whisper/tiny.en", "faster-whisper/base"]
    assert all({c.name for c in each.carriers} == {f.name for f in each.files} for each in carried)


def test_the_main_file_and_total_are_known():
    """The base model's weights are its first file, and its size is the sum of its files."""
    base = entry("Systran/faster-whisper-base")
    assert base.main_file.name == "model.bin"
    assert base.total_bytes == 145_217_532 + 2_309 + 2_203_239 + 459_861
    assert base.pinned


def test_an_entry_with_an_unknown_checksum_is_not_pinned():
    """An entry says so if a checksum is missing."""
    unpinned = entry("systran/faster-distil-whisper-medium.en")
    assert not unpinned.pinned
    assert unpinned.total_bytes is None


def test_an_unknown_key_names_near_ones():
    """A mistyped key is answered with what it resembles."""
    with pytest.raises(WeightsError, match="did you mean systran/faster-whisper-base"):
        entry("systran/faster-wisper-base")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../model.bin", "a/../../b", "a\\b"])
def test_a_file_name_outside_the_folder_is_refused(name: str):
    """A file can only lie inside the weights folder."""
    with pytest.raises(WeightsError, match="relative path"):
        WeightsFile(name=name)


def test_a_checksum_that_is_none_is_refused():
    """A checksum is 64 digits in lower-case hex."""
    with pytest.raises(WeightsError, match="not a sha256"):
        WeightsFile(name="model.bin", sha256="ABC")


def test_the_catalogue_loads_nothing_heavy():
    """Importing the room and reading the catalogue loads neither numpy nor torch nor a web client."""
    code = (
        "import sys, asrlab.weights as w; w.entries(); "
        "print(*({'numpy', 'torch', 'huggingface_hub', 'ctranslate2', 'urllib.request'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
