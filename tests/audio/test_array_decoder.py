from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asrlab.audio import Audio, load_audio, open_audio
from asrlab.errors import AudioError, OptionError


def _load(samples: Any, rate: int = 16_000) -> NDArray[np.float32]:
    return load_audio(samples, sample_rate=rate).samples


def _assert_refused(samples: Any, rate: int = 16_000) -> AudioError:
    with pytest.raises(AudioError) as caught:
        _load(samples, rate)
    return caught.value


def test_array_without_sample_rate_is_refused():
    """An array without a rate is refused, because it does not state one."""
    with pytest.raises(OptionError, match="sample_rate="):
        open_audio(np.zeros(100, dtype=np.float32))


def test_audio_object_has_its_own_rate():
    """An `Audio` is resampled from its own rate, and a second rate is refused."""
    audio = Audio(samples=np.full(8000, 0.5), sample_rate=8000)
    assert len(load_audio(audio).samples) == 16_000
    with pytest.raises(OptionError):
        open_audio(audio, sample_rate=8000)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_floats_are_unchanged(dtype: str):
    """Any float type becomes float32 of the same value."""
    result = _load(np.array([0.5, -0.25, 1.0, -1.0], dtype=dtype))
    assert result.dtype == np.float32
    assert result.tolist() == [0.5, -0.25, 1.0, -1.0]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int8", [64, -128]),
        ("uint8", [192, 0]),
        ("int16", [16_384, -32_768]),
        (">i2", [16_384, -32_768]),
        ("int32", [2**30, -(2**31)]),
    ],
)
def test_integers_are_scaled_by_their_type(dtype: str, values: list[int]):
    """Half of full scale is 0.5 and the lowest value is -1."""
    assert _load(np.array(values, dtype=dtype)).tolist() == [0.5, -1.0]


@pytest.mark.parametrize("dtype", ["int64", "uint16", "bool", "complex64", "object"])
def test_types_without_a_known_scale_are_refused(dtype: str):
    """Integers of unclear scale and other types are refused with the types that are accepted."""
    error = _assert_refused(np.zeros(100, dtype=dtype))
    assert error.reason == "bad-shape"
    assert dtype in error.message


def test_channels_are_averaged():
    """Columns are channels, and the result is their mean."""
    assert _load(np.array([[0.2, 0.4, 0.6]] * 50, dtype=np.float32)) == pytest.approx(np.full(50, 0.4))


def test_channels_first_is_refused_with_the_remedy():
    """The error for shape (channels, n) advises to transpose."""
    for shape in [(2, 1000), (1, 1000)]:
        error = _assert_refused(np.zeros(shape, dtype=np.float32))
        assert error.reason == "bad-shape"
        assert "samples.T" in error.message


@pytest.mark.parametrize("shape", [(), (10, 2, 2), (3000, 80), (80, 3000), (100, 0)])
def test_other_shapes_are_refused(shape: tuple[int, ...]):
    """A number, a cube, a spectrogram and an array without channels are refused."""
    error = _assert_refused(np.zeros(shape, dtype=np.float32))
    assert error.reason == "bad-shape"
    assert "(n, channels)" in error.message


def test_empty_array_is_refused():
    """An array without samples is refused."""
    assert _assert_refused(np.zeros(0, dtype=np.float32)).reason == "empty"
    assert _assert_refused(np.zeros((0, 2), dtype=np.float32)).reason == "empty"


def test_audio_of_a_list_is_refused():
    """The error for a list in an `Audio` advises to convert it to an array."""
    with pytest.raises(AudioError, match="not a numpy array"):
        load_audio(Audio(samples=[0.0], sample_rate=16_000))


def test_integer_samples_in_a_float_array_are_refused():
    """Values of thousands are 16-bit samples, and the error states the remedy."""
    samples = np.zeros(16_000)
    samples[8000] = -12_000.0
    error = _assert_refused(samples)
    assert error.reason == "out-of-range"
    assert "divide them by 32768" in error.message
    assert "second 0.500" in error.message


def test_slight_overs_are_kept():
    """A mix that goes over full scale is not clipped."""
    assert _load(np.array([1.5, -3.0, 15.9])) == pytest.approx([1.5, -3.0, 15.9])


def test_the_callers_array_is_neither_changed_nor_shared():
    """Writing into the result leaves the source alone."""
    samples = np.full(100, 0.5, dtype=np.float32)
    result = _load(samples)
    result[:] = 0
    assert (samples == 0.5).all()
    with open_audio(samples, sample_rate=16_000) as reader:
        next(reader.blocks())[:] = 0
    assert (samples == 0.5).all()
