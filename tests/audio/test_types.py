import numpy as np
import pytest

from asrlab.audio import Audio, AudioFile
from asrlab.errors import OptionError


def test_duration_is_rows_over_rate():
    """The duration is rows over rate, for any number of channels."""
    assert Audio(samples=np.zeros((800, 2), dtype=np.float32), sample_rate=16_000).duration == 0.05


@pytest.mark.parametrize("rate", [16, 0, -8000, 2_000_000, 16_000.5, "16000", True, None, float("nan")])
def test_invalid_sample_rate_is_refused(rate: object):
    """A rate in kHz, a fraction, text or a boolean is an option error."""
    with pytest.raises(OptionError, match="16 kHz is 16000") as caught:
        Audio(samples=np.zeros(10), sample_rate=rate)
    assert caught.value.option == "sample_rate"


def test_sample_rate_may_be_a_numpy_integer_or_a_whole_float():
    """Rates as other libraries pass them are accepted."""
    rates = [Audio(samples=np.zeros(1), sample_rate=rate).sample_rate for rate in (np.int64(8000), 8000.0)]
    assert rates == [8000, 8000]
    assert all(type(rate) is int for rate in rates)


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field in ("offset", "duration") for value in (-1.0, float("nan"), float("inf"))]
    + [("duration", 0.0)],
)
def test_invalid_part_of_a_file_is_refused(field: str, value: float):
    """A negative offset and a duration that is not positive are option errors."""
    with pytest.raises(OptionError) as caught:
        AudioFile(path="a.wav", **{field: value})
    assert caught.value.option == field
