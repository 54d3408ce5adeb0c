"""What several rooms' tests share: the command line, plugins on disk, and a browser."""

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
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from selenium.webdriver import Chrome

CHROMIUM = "apt-get install --no-install-recommends chromium chromium-driver"
SMOKE = Path(__file__).resolve().parent.parent / "src" / "asrlab" / "evaluation" / "datasets" / "smoke"


@pytest.fixture(scope="session")
def clips() -> tuple[Path, ...]:
    """The five clips of the smoke set: 7.1, 2.99, 5.3, 6.05 and 3.29 seconds of speech."""
    return tuple(sorted(SMOKE.glob("*.flac")))


@pytest.fixture(scope="session", autouse=True)
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this process's runs go instead of the user's data folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("runs")
        patch.setenv("ASRLAB_RUNS", str(folder))
        yield folder


@attrs.frozen
class Ran:
    """A finished command.

    Attributes:
        code: Its exit code.
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
    """``python -m asrlab`` as a user starts it, away from the network.

    Attributes:
        home: An empty folder for what it caches.
    """

    home: Path

    def environment(self, *, plugins: Iterable[Path] = (), **variables: str) -> dict[str, str]:
        """The variables it is started with; the folders in *plugins* come first on its path."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("ASRLAB_", "_ASRLAB_"))}
        path = os.pathsep.join([*map(str, plugins), *filter(None, [os.environ.get("PYTHONPATH")])])
        offline = {"ASRLAB_CACHE": str(self.home), "ASRLAB_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
        return (
            mine
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
    ) -> Ran:
        """Run it to its end; a traceback is never right."""
        done = subprocess.run(
            [sys.executable, "-m", "asrlab", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=cwd or self.home,
            env=self.environment(plugins=plugins, **variables),
            check=False,
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in ran.err, ran.err
        return ran

    def start(self, *arguments: str | Path, plugins: Iterable[Path] = (), **options: Any) -> subprocess.Popen[str]:
        """Start it and come back at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "asrlab", *map(str, arguments)],
            cwd=self.home,
            env=self.environment(plugins=plugins),
            text=True,
            **options,
        )


@pytest.fixture(scope="session")
def asrlab_cli(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The command line, with an empty cache unless ``ASRLAB_CACHE=`` is given."""
    return CommandLine(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def write_distribution() -> Callable[..., Path]:
    """A writer of installed distributions: a module and its metadata, as pip would leave them in a folder."""

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


THIRD_PARTY = '''
import os, signal, sys, time
import asrlab

asrlab_plugin_api = 2
MODELS = ("calm", "abort", "exit", "raise", "print", "hang", "unsendable", "load-raises", "load-aborts", "load-hangs",
          "aborts-then-cannot-load", "info-unsendable")


@asrlab.plugin.hookimpl
def asrlab_engines():
    return [
        asrlab.plugin.EngineSpec(
            name="third", factory="third_party:load", devices="third_party:devices", default_model="calm",
            models=tuple(asrlab.plugin.ModelSpec(name=name) for name in MODELS), aliases=("drei",),
        )
    ]


@asrlab.plugin.hookimpl
def asrlab_datasets():
    return [asrlab.evaluation.DatasetSpec(name="third-set", description="two clips", factory="third_party:dataset")]


def dataset():
    folder = os.environ["THIRD_PARTY_CLIPS"]
    names = sorted(os.listdir(folder))
    return asrlab.evaluation.Dataset(
        name="third-set", source="a test",
        read=lambda: [asrlab.evaluation.Utterance(id=name, audio=f"{folder}/{name}", text="heard") for name in names],
    )


def devices():
    return asrlab.DeviceReport(available=("cpu",))


class Resumed(Exception):
    pass


def resume(*_):
    raise Resumed


def hang():
    """Until SIGUSR1 comes; SIGINT does what it always does, and a minute is enough for any test."""
    signal.signal(signal.SIGUSR1, resume)
    signal.alarm(60)
    try:
        print("hanging", os.getpid(), file=sys.stderr, flush=True)
        while True:
            time.sleep(0.1)  # not signal.pause: a signal that comes just before that is not seen until the next
    except Resumed:
        pass


class Unpicklable(Exception):
    """Cannot be made again from its arguments, and holds what cannot be pickled."""

    def __init__(self, *, why):
        super().__init__(f"the engine says {why}")
        self.hook = lambda: why


class ThirdParty(asrlab.plugin.Recognizer):
    def recognize(self, audio, options):
        samples = audio.read()
        model = self.info.model.name.partition("/")[2]
        if "odd" in audio.name:
            self.act(model)
        print("third party says hello on standard output")
        os.system("echo third party child says hello on standard output")
        text = "heard" if model != "unsendable" or "odd" not in audio.name else Text("heard")
        return asrlab.plugin.Recognition(
            segments=iter([asrlab.Segment(text=text, start=0.0, end=len(samples) / 16000)]), language="en"
        )

    def act(self, model):
        if model in ("abort", "aborts-then-cannot-load"):
            os.abort()
        elif model == "exit":
            sys.exit(7)
        elif model == "raise":
            raise Unpicklable(why="no")
        elif model == "print":
            sys.stdin.read()
        elif model == "hang":
            hang()

    def release(self):
        pass


class Text(str):
    def __reduce__(self):
        raise ValueError("this text stays here")


def load(request):
    model = request.model.name.partition("/")[2]
    if model == "load-raises":
        raise ZeroDivisionError("no weights in the box")
    if model == "load-aborts":
        os.abort()
    if model == "load-hangs":
        hang()
    if model == "aborts-then-cannot-load":
        flag = os.environ["THIRD_PARTY_FLAG"]
        if os.path.exists(flag):
            raise RuntimeError("not a second time")
        open(flag, "w").close()
    info = asrlab.TranscriberInfo(
        model=request.model, device=request.device, compute_type="float32",
        threads=(lambda: 1) if model == "info-unsendable" else None, capabilities=asrlab.Capabilities(),
    )
    return ThirdParty(info)
'''


@pytest.fixture(scope="session")
def third_party(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """A folder with an installed plugin: an engine with models of every temper, and a data set."""
    return write_distribution(tmp_path_factory.mktemp("third"), "third-party", source=THIRD_PARTY)


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set: three short tones, ``a-first``, ``b-odd`` and ``c-last``, each said to be "heard"."""
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
    """A maker of tiny LFM2.5-Audio checkpoints with random weights, each written once; see `write_tiny_lfm2_audio`."""
    pytest.importorskip("liquid_audio", reason="liquid-audio is not installed")
    from asrlab.testing.tiny_lfm2_audio import write_tiny_lfm2_audio

    folders: dict[tuple[str, bool, int], Path] = {}

    def made(says: str = "speak_now", *, ends: bool = True, seed: int = 0) -> Path:
        key = (says, ends, seed)
        if key not in folders:
            folder = tmp_path_factory.mktemp("tiny") / "tiny-lfm2-audio"
            folders[key] = write_tiny_lfm2_audio(folder, says=says, ends=ends, seed=seed)
        return folders[key]

    return made


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chrome]:
    """One headless Chromium for all tests; it can reach no network."""
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
    """A function that opens a page from the disk, in a window of the given width and a colour scheme."""

    def opened(path: Path, *, width: int = 1280, scheme: str = "light", script: bool = True) -> Chrome:
        # a page that glides while it is being clicked on is missed
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        media = [{"name": "prefers-color-scheme", "value": scheme}, still]
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        chromium.get_log("browser")
        chromium.get(path.as_uri())
        return chromium

    yield opened
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def _film(
    tracks: Sequence[NDArray[np.float32]],
    *,
    sample_rate: int,
    kind: str,
    codec: str,
    place: Callable[[float], float | None] = float,
    picture: str | None = None,
    film_s: float = 0.0,
    tags: Sequence[dict[str, str]] = (),
    default: int | None = None,
) -> bytes:
    """Several tracks, each of shape (n, channels), in one file.

    Args:
        tracks: The sound of each track.
        sample_rate: Hz.
        kind: FFmpeg's name of the container.
        codec: Of the sound.
        place: From the second at which a packet begins to that at which it is to be heard; None drops the packet.
        picture: Codec of a track of pictures; None for none.
        film_s: Seconds that the pictures last.
        tags: The tags of each track of sound.
        default: Which of the tracks is marked as the default, from 0; None leaves it to FFmpeg.
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
                then = place(float(packet.pts * packet.time_base))
                if then is not None:
                    packet.pts = packet.dts = round(then / packet.time_base)
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
    """`_film`: sound whose packets lie where the test puts them, with pictures beside it if wanted."""
    return _film
