"""Fixtures for all tests: the command line, installed plugins, small data sets, films, and a browser."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from selenium.webdriver import Chrome

CHROMIUM = "apt-get install --no-install-recommends chromium chromium-driver"
THIRD_PARTY = Path(__file__).with_name("third_party_plugin.py")
SMOKE = Path(__file__).resolve().parent.parent / "src" / "asrlab" / "evaluation" / "datasets" / "smoke"


# a loaded machine is no fault of a property
hypothesis.settings.register_profile("asrlab", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("asrlab")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that rewrites the recorded outputs."""
    parser.addoption("--update-snapshots", action="store_true", help="Rewrite the files of recorded outputs.")


@pytest.fixture
def compare_snapshot(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Return a function that compares a text with its file, or rewrites the file with ``--update-snapshots``."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("update_snapshots"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"changed: {path.name}; see --update-snapshots"

    return compare


@pytest.fixture(scope="session")
def clips() -> tuple[Path, ...]:
    """Return the five clips of the smoke set: 7.1, 2.99, 5.3, 6.05 and 3.29 seconds of speech."""
    return tuple(sorted(SMOKE.glob("*.flac")))


@pytest.fixture(scope="session", autouse=True)
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Redirect the runs of this process from the user's data folder to a temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("runs")
        patch.setenv("ASRLAB_RUNS", str(folder))
        yield folder


@attrs.frozen
class FinishedCommand:
    """A finished command.

    Attributes:
        code: Exit code.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, read as one JSON document."""
        return json.loads(self.out)


@attrs.frozen
class CommandLine:
    """The command ``python -m asrlab``, as a user starts it, without the network.

    Attributes:
        home: Folder for its cache and runs.
    """

    home: Path

    def environment(self, *, plugins: Iterable[Path] = (), **variables: str) -> dict[str, str]:
        """Return the environment variables of the command; the folders in *plugins* come first on its path."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ASRLAB_", "_ASRLAB_"))}
        path = os.pathsep.join([*map(str, plugins), *filter(None, [os.environ.get("PYTHONPATH")])])
        offline = {"ASRLAB_CACHE": str(self.home), "ASRLAB_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
        return (
            inherited
            | offline
            | {"ASRLAB_RUNS": str(self.home / "runs")}
            | {"PYTHONPATH": path, "COLUMNS": "120"}
            | variables
        )

    def __call__(
        self,
        *arguments: str | Path,
        stdin: bytes = b"",
        cwd: Path | None = None,
        plugins: Iterable[Path] = (),
        **variables: str,
    ) -> FinishedCommand:
        """Run the command to its end; a traceback fails the test."""
        done = subprocess.run(
            [sys.executable, "-m", "asrlab", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=cwd or self.home,
            env=self.environment(plugins=plugins, **variables),
            check=False,
        )
        finished = FinishedCommand(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in finished.err, finished.err
        return finished

    def start(self, *arguments: str | Path, plugins: Iterable[Path] = (), **options: Any) -> subprocess.Popen[str]:
        """Start the command without waiting for its end."""
        return subprocess.Popen(
            [sys.executable, "-m", "asrlab", *map(str, arguments)],
            cwd=self.home,
            env=self.environment(plugins=plugins),
            text=True,
            **options,
        )


@pytest.fixture(scope="session")
def asrlab_cli(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Return the command line, with an empty cache unless ``ASRLAB_CACHE=`` is given."""
    return CommandLine(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def write_distribution() -> Callable[..., Path]:
    """Return a function that writes an installed distribution: a module and its metadata, as pip installs them."""

    def write(
        folder: Path, name: str, *, source: str, plugins: Iterable[str] = ("{module}",), module: str | None = None
    ) -> Path:
        """Write distribution *name* 1.0 with one module; each of *plugins* is an entry point to it."""
        module = module or name.replace("-", "_")
        info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        points = "".join(f"{plugin.format(module=module)} = {module}\n" for plugin in plugins)
        (info / "entry_points.txt").write_text(f"[asrlab]\n{points}", encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def third_party(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """Return a folder with an installed plugin: an engine with faulty models, and a data set."""
    return write_distribution(
        tmp_path_factory.mktemp("third"), "third-party", source=THIRD_PARTY.read_text(encoding="utf-8")
    )


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data set of three short tones, ``a-first``, ``b-odd`` and ``c-last``, with the reference "heard"."""
    import numpy as np
    import soundfile

    folder = tmp_path_factory.mktemp("tones") / "tones"
    folder.mkdir()
    tone = 0.1 * np.sin(np.arange(8000) / 5, dtype=np.float32)
    for name in ("a-first", "b-odd", "c-last"):
        soundfile.write(folder / f"{name}.wav", tone, 16000)
        (folder / f"{name}.txt").write_text("heard\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_lfm2_audio(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes tiny LFM2.5-Audio checkpoints, each once; see `write_tiny_lfm2_audio`."""
    pytest.importorskip("liquid_audio", reason="liquid-audio is not installed")
    from asrlab.testing.tiny_lfm2_audio import write_tiny_lfm2_audio

    folders: dict[tuple[str, bool, int], Path] = {}

    def write(says: str = "speak_now", *, ends: bool = True, seed: int = 0) -> Path:
        key = (says, ends, seed)
        if key not in folders:
            folder = tmp_path_factory.mktemp("tiny") / "tiny-lfm2-audio"
            folders[key] = write_tiny_lfm2_audio(folder, says=says, ends=ends, seed=seed)
        return folders[key]

    return write


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chrome]:
    """Start one headless Chromium, without a network, for all tests."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed; on Debian: {CHROMIUM}")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = programs["chromium"] or ""
    for flag in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--autoplay-policy=no-user-gesture-required",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(programs["chromedriver"]))
    yield driver
    driver.quit()
    driver.service.stop()


@pytest.fixture
def browse(chromium: Chrome) -> Iterator[Callable[..., Chrome]]:
    """Return a function that opens a page from the disk, with a window width and a colour scheme."""

    def open_page(path: Path, *, width: int = 1280, scheme: str = "light", script: bool = True) -> Chrome:
        # a click misses a page that scrolls smoothly
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        media = [{"name": "prefers-color-scheme", "value": scheme}, still]
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        chromium.get_log("browser")
        chromium.get(path.as_uri())
        return chromium

    yield open_page
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def _film(
    tracks: Sequence[NDArray[np.float32]],
    *,
    sample_rate: int,
    kind: str,
    codec: str,
    packet_time: Callable[[float], float | None] = float,
    picture: str | None = None,
    film_s: float = 0.0,
    tags: Sequence[dict[str, str]] = (),
    default: int | None = None,
) -> bytes:
    """Write several tracks, each of shape (n, channels), into one file.

    Args:
        tracks: The sound of each track.
        sample_rate: Sample rate in Hz.
        kind: FFmpeg's name of the container.
        codec: Codec of the sound.
        packet_time: Maps the time of a packet in seconds to the time in the file; None drops the packet.
        picture: Codec of a track of pictures; None for no pictures.
        film_s: Duration of the pictures in seconds.
        tags: Tags of each track of sound.
        default: Index of the default track; None for FFmpeg's default.
    """
    import av
    from av.stream import Disposition

    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        packets = []
        if picture is not None:
            packets += _pictures(container, picture, film_s)
        streams = [_audio_stream(container, samples, sample_rate=sample_rate, codec=codec) for samples in tracks]
        for (stream, _), metadata in zip(streams, tags, strict=False):
            stream.metadata.update(metadata)
        if default is not None:
            streams[default][0].disposition = Disposition.default
        for stream, frames in streams:
            for packet in (packet for frame in frames for packet in stream.encode(frame)):
                seconds = packet_time(float(packet.pts * packet.time_base))
                if seconds is not None:
                    packet.pts = packet.dts = round(seconds / packet.time_base)
                    packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return file.getvalue()


def _audio_stream(
    container: Any, samples: NDArray[np.float32], *, sample_rate: int, codec: str
) -> tuple[Any, list[Any]]:
    import av
    import numpy as np

    layout = "mono" if samples.shape[1] == 1 else "stereo"
    stream = container.add_stream(codec, rate=sample_rate, layout=layout)
    stream.bit_rate = 96_000
    stream.codec_context.open()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, Fraction(1, sample_rate)
    resampler = av.AudioResampler(
        format=stream.codec_context.format, layout=layout, rate=sample_rate, frame_size=stream.frame_size or 1024
    )
    return stream, [*resampler.resample(frame), *resampler.resample(None), None]


def _pictures(container: Any, codec: str, seconds: float) -> list[Any]:
    import av
    import numpy as np

    stream = container.add_stream(codec, rate=2, width=16, height=16)
    stream.pix_fmt = "yuv420p"
    packets = []
    for index in range(round(2 * seconds)):
        frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 80 + index, dtype=np.uint8), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 2)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


@pytest.fixture(scope="session")
def film() -> Callable[..., bytes]:
    """Return `_film`, which writes sound with packets at chosen times, and pictures if requested."""
    return _film
