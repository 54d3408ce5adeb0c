import gc
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrlab.audio import SAMPLE_RATE, load_audio, open_audio
from asrlab.errors import AudioError, OptionError


def test_blocks_join_to_the_whole(sound: Callable[..., Any], written: Callable[..., bytes]):
    """All blocks but the last have the requested length, and nothing is lost between them."""
    data = written(sound(7.3, sample_rate=44_100, channels=2), sample_rate=44_100)
    with open_audio(data) as reader:
        blocks = list(reader.blocks(block_s=2.0))
        assert reader.duration == pytest.approx(7.3, abs=1e-3)
    assert [len(block) for block in blocks[:-1]] == [32_000] * 3
    assert np.array_equal(np.concatenate(blocks), load_audio(data).samples)


def test_block_that_ends_with_the_audio_is_the_last(sound: Callable[..., Any], written: Callable[..., bytes]):
    """No empty block follows."""
    with open_audio(written(sound(2.0))) as reader:
        assert [len(block) for block in reader.blocks(block_s=1.0)] == [16_000, 16_000]


@pytest.mark.parametrize("block_s", [0, -1.0, float("nan"), float("inf"), 1e-9])
def test_block_of_no_length_is_refused(sound: Callable[..., Any], written: Callable[..., bytes], block_s: float):
    """A block has at least one sample."""
    with open_audio(written(sound(1.0))) as reader, pytest.raises(OptionError, match="block_s"):
        reader.blocks(block_s=block_s)


def test_audio_is_read_once(sound: Callable[..., Any], written: Callable[..., bytes]):
    """A second reading raises an error that advises to open the source again."""
    with open_audio(written(sound(1.0))) as reader:
        reader.read()
        for again in (reader.read, reader.blocks):
            with pytest.raises(AudioError, match="open it again"):
                again()


def test_closed_reader_gives_no_more(sound: Callable[..., Any], written: Callable[..., bytes]):
    """Closing in the middle ends the blocks with an error, not with an end that looks complete."""
    reader = open_audio(written(sound(5.0), kind="MP3"))
    blocks = reader.blocks(block_s=1.0)
    next(blocks)
    reader.close()
    reader.close()
    with pytest.raises(AudioError, match="closed"):
        list(blocks)
    with pytest.raises(AudioError, match="open it again"):
        reader.read()


def test_decoding_time_excludes_the_consumer(sound: Callable[..., Any], written: Callable[..., bytes]):
    """The decoding time does not grow while the caller works on a block."""
    data = written(sound(60.0, sample_rate=44_100), sample_rate=44_100)
    start = time.perf_counter()
    with open_audio(data) as reader:
        opened = reader.decoding_time
        busy = 0.0
        for _ in reader.blocks(block_s=5.0):
            until = time.perf_counter() + 0.1
            while time.perf_counter() < until:
                busy = busy + 0.0
    total = time.perf_counter() - start
    assert 0 < opened < reader.decoding_time
    assert reader.decoding_time <= total - 12 * 0.1


def test_duration_counts_decoded_audio(sound: Callable[..., Any], written: Callable[..., bytes]):
    """In the middle, the duration is that of the blocks so far or slightly more."""
    with open_audio(written(sound(100.0))) as reader:
        assert reader.duration == 0
        next(reader.blocks(block_s=10.0))
        assert 10.0 <= reader.duration < 60.0
        assert reader.declared_duration == 100.0


def test_load_audio_gives_mono_at_16_khz(sound: Callable[..., Any], written: Callable[..., bytes]):
    """The loaded audio has the rate and the duration that engines receive."""
    audio = load_audio(written(sound(1.5, sample_rate=48_000, channels=2), sample_rate=48_000))
    assert audio.sample_rate == SAMPLE_RATE
    assert audio.samples.shape == (24_000,)
    assert audio.samples.dtype == np.float32
    assert audio.duration == 1.5


@pytest.mark.parametrize("kind", ["WAV", "MP3"])
def test_file_is_closed_after_an_error_and_after_the_end(
    sound: Callable[..., Any], written: Callable[..., bytes], tmp_path: Path, kind: str
):
    """No open file remains, even if the caller forgets to close."""
    path = tmp_path / "audio"
    data = written(sound(2.0), kind=kind)
    for content in (data, data[: len(data) // 2], b"nothing of the kind"):
        path.write_bytes(content)
        try:
            reader = open_audio(path)
            reader.read()
        except AudioError:
            reader = None
        gc.collect()  # an open file would be a ResourceWarning, which is an error here
        assert reader is None or "decoded" in repr(reader)


def test_abandoned_blocks_close_the_source(sound: Callable[..., Any], written: Callable[..., bytes], tmp_path: Path):
    """A caller who stops early and drops the reader leaves nothing open."""
    path = tmp_path / "a.wav"
    path.write_bytes(written(sound(5.0)))
    with open_audio(path) as reader:
        next(reader.blocks(block_s=1.0))
    gone = weakref.ref(reader)
    del reader
    gc.collect()
    assert gone() is None


def test_absurd_declared_length_reserves_no_memory(sound: Callable[..., Any], written: Callable[..., bytes]):
    """A FLAC header that declares a month is refused as truncated without allocating memory."""
    data = bytearray(written(sound(1.0), kind="FLAC"))
    facts = int.from_bytes(data[18:26])
    data[18:26] = (facts >> 36 << 36 | 2**36 - 1).to_bytes(8)
    with pytest.raises(AudioError) as caught:
        load_audio(bytes(data))
    assert caught.value.reason == "truncated"
    assert caught.value.decoded == pytest.approx(1.0, abs=0.3)
