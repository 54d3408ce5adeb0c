"""Script that writes a long recording by repeating one encoded minute; the arguments are FILE and MINUTES."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import numpy as np
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from numpy.typing import NDArray

RATE = 44_100
CODECS = {".m4a": "aac", ".mp3": "libmp3lame"}


def create_minute() -> NDArray[np.int16]:
    """Return a minute of stereo at 44.1 kHz, shape (n, 2): a sliding tone and noise, hard to compress."""
    import numpy as np

    times = np.arange(60 * RATE) / RATE
    tone = np.sin(2 * np.pi * (200 * times + 5 * times**2))
    noise = np.random.default_rng(0).standard_normal((len(times), 2))
    return (8000 * tone[:, None] + 400 * noise).astype(np.int16)


def write_flac(target: Path, *, minutes: int) -> None:
    """Write the recording with libsndfile, minute by minute."""
    import soundfile

    samples = create_minute()
    with soundfile.SoundFile(target, "w", samplerate=RATE, channels=2, subtype="PCM_16") as file:
        for _ in range(minutes):
            file.write(samples)


def write_compressed(target: Path, *, minutes: int) -> None:
    """Encode one minute with FFmpeg's libraries and repeat its packets."""
    import av

    encoded = _encode_minute(target.suffix)
    with av.open(str(target), "w") as output, av.open(encoded, "r") as first:
        stream = output.add_stream_from_template(first.streams.audio[0])
        shift = 0
        for _ in range(minutes):
            encoded.seek(0)
            with av.open(encoded, "r") as source:
                shift += _copy_packets(source, output, stream, shift=shift)


def _encode_minute(suffix: str) -> io.BytesIO:
    import av

    buffer = io.BytesIO()
    frame = av.AudioFrame.from_ndarray(create_minute().reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate = RATE
    with av.open(buffer, "w", format="mp3" if suffix == ".mp3" else "mp4") as container:
        stream = cast("AudioStream", container.add_stream(CODECS[suffix], rate=RATE, layout="stereo"))
        for item in (frame, None):
            container.mux(stream.encode(item))
    buffer.seek(0)
    return buffer


def _copy_packets(source: InputContainer, output: OutputContainer, stream: AudioStream, *, shift: int) -> int:
    """Copy all packets, delayed by *shift*, and return their total duration in the source's units."""
    length = 0
    for packet in source.demux(audio=0):
        if packet.dts is None:  # the empty packet at the end of the file
            continue
        packet.pts = packet.dts = shift + length
        length += packet.duration or 0
        packet.stream = stream
        output.mux(packet)
    return length


def main() -> None:
    """Write the file named on the command line."""
    target, minutes = Path(sys.argv[1]), int(sys.argv[2])
    write = write_compressed if target.suffix in CODECS else write_flac
    write(target, minutes=minutes)


if __name__ == "__main__":
    main()
