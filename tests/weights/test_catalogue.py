from __future__ import annotations

import re
import subprocess
import sys

import pytest

from asrlab.errors import WeightsError
from asrlab.weights import WeightsFile, entries, entry


def test_every_faster_whisper_size_is_in_the_catalogue():
    """The catalogue has an entry for every repository that faster-whisper knows."""
    utils = pytest.importorskip("faster_whisper.utils", reason="faster-whisper is not installed")
    keys = {entry.key for entry in entries()}
    assert {repository.lower() for repository in utils._MODELS.values()} <= keys  # noqa: SLF001


def test_every_openai_checkpoint_is_in_the_catalogue():
    """The addresses and checksums are those of openai-whisper."""
    whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed")
    urls = {entry.url: entry for entry in entries() if entry.format == "openai-pt"}
    assert set(urls) == set(whisper._MODELS.values())  # noqa: SLF001
    assert all(entry.main_file.sha256 == url.split("/")[-2] for url, entry in urls.items())


def test_every_hub_entry_is_pinned_to_a_commit():
    """Every entry with a repository names a commit and not a branch."""
    assert all(re.fullmatch("[0-9a-f]{40}", entry.revision) for entry in entries() if entry.repository)


def test_keys_and_models_are_unique():
    """No two entries have the same key or the same model."""
    assert len({entry.key for entry in entries()}) == len({entry.model for entry in entries()}) == len(entries())


def test_a_carrier_provides_every_file_of_its_entry():
    """If packages contain one file of an entry, packages contain all its files."""
    packaged = [entry for entry in entries() if entry.carriers]
    assert [entry.model for entry in packaged] == ["faster-whisper/tiny.en", "faster-whisper/base"]
    assert all(
        {carrier.name for carrier in entry.carriers} == {file.name for file in entry.files} for entry in packaged
    )


def test_the_main_file_and_total_are_known():
    """The main file of the base model is model.bin, and the total is the sum of the file sizes."""
    base = entry("Systran/faster-whisper-base")
    assert base.main_file.name == "model.bin"
    assert base.total_bytes == 145_217_532 + 2_309 + 2_203_239 + 459_861
    assert base.pinned


def test_an_entry_with_an_unknown_checksum_is_not_pinned():
    """An entry without a checksum is not pinned."""
    unpinned = entry("systran/faster-distil-whisper-medium.en")
    assert not unpinned.pinned
    assert unpinned.total_bytes is None


def test_an_unknown_key_gets_a_suggestion():
    """The error for an unknown key suggests a similar key."""
    with pytest.raises(WeightsError, match="did you mean systran/faster-whisper-base"):
        entry("systran/faster-wisper-base")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../model.bin", "a/../../b", "a\\b"])
def test_a_file_name_outside_the_folder_is_refused(name: str):
    """A file name must be a relative path inside the weights folder."""
    with pytest.raises(WeightsError, match="relative path"):
        WeightsFile(name=name)


def test_an_invalid_checksum_is_refused():
    """A checksum must consist of 64 lower-case hexadecimal digits."""
    with pytest.raises(WeightsError, match="not a sha256"):
        WeightsFile(name="model.bin", sha256="ABC")


def test_the_catalogue_imports_no_heavy_package():
    """Reading the catalogue imports neither numpy nor torch nor a web client."""
    code = (
        "import sys, asrlab.weights as w; w.entries(); "
        "print(*({'numpy', 'torch', 'huggingface_hub', 'ctranslate2', 'urllib.request'} & sys.modules.keys()))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.split() == []
