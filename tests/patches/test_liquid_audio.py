"""The patches of liquid-audio, with the real package and a tiny checkpoint."""

from __future__ import annotations

import gc
import inspect
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import asrlab
from asrlab.patches.direct import patched

torch = pytest.importorskip("torch", reason="torch is not installed")
liquid_audio = pytest.importorskip("liquid_audio", reason="liquid-audio is not installed", exc_type=ImportError)
lfm2_audio = sys.modules["liquid_audio.model.lfm2_audio"]
processing = sys.modules["liquid_audio.processor"]

DETOKENIZER = "liquid-audio-detokenizer-device"
FLASH = "liquid-audio-flash-attention"
DEFAULT = "liquid-audio-default-device"
RESAMPLING = "liquid-audio-resampling"  # tested in test_liquid_audio_resampling.py

NO_CUDA = "Found no NVIDIA driver on your system|Torch not compiled with CUDA enabled"  # torch with and without CUDA

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device: upstream works here")


@pytest.fixture(scope="session")
def codes() -> Any:
    """Return the codes of a second of speech, int64, shape (1, 8, 12)."""
    return torch.arange(96).reshape(1, 8, 12) * 21


@pytest.fixture
def processor(tiny: Path) -> Any:
    """Return a processor on the CPU that has not built its speech decoder."""
    return liquid_audio.LFM2AudioProcessor.from_pretrained(tiny, device="cpu").eval()


@pytest.fixture
def flash_attn(tmp_path: Path) -> Iterator[None]:
    """Install an empty package of this name."""
    (tmp_path / "flash_attn.py").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        yield


@pytest.fixture
def fix_upstream() -> Iterator[Callable[..., Any]]:
    """Return a function that replaces text in a function of upstream, as upstream may fix it."""
    with pytest.MonkeyPatch.context() as patch:

        def fix(owner: type, name: str, function: Any, *replaced: tuple[str, str]) -> Any:
            source = textwrap.dedent(inspect.getsource(function))
            for old, new in replaced:
                assert old in source
                source = source.replace(old, new)
            names = dict(vars(sys.modules[owner.__module__]))
            exec(source, names)  # noqa: S102 - upstream's own code
            patch.setattr(owner, name, names[name])
            return vars(owner)[name]

        yield fix


@without_cuda
def test_speech_is_decoded_on_the_device_only_with_the_patch(processor: Any, codes: Any, tiny: Path):
    """Upstream's ``.cuda()`` fails without the patch; with it, codes become a waveform on the device."""
    getter = vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"]
    with pytest.raises((RuntimeError, AssertionError), match=NO_CUDA):
        processor.decode(codes)
    with patched("liquid-audio", device="cpu") as scope:
        assert scope.status(DETOKENIZER) == "applied"
        wave = processor.decode(codes)
        assert torch.equal(processor.decode(codes), wave)
    assert (wave.device.type, wave.dtype, wave.shape) == ("cpu", torch.float32, (1, 23040))
    assert wave.isfinite().all()
    assert wave.std() > 0
    assert torch.equal(wave, _build_decoder(tiny)(codes))
    assert type(processor.audio_detokenizer) is liquid_audio.LFM2AudioDetokenizer
    assert "cuda" not in vars(type(processor.audio_detokenizer))
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter
    another = liquid_audio.LFM2AudioProcessor.from_pretrained(tiny, device="cpu")
    with pytest.raises((RuntimeError, AssertionError), match=NO_CUDA):
        another.decode(codes)


def _build_decoder(tiny: Path) -> Any:
    """Build the speech decoder on the CPU without the getter."""
    from safetensors.torch import load_file
    from transformers import Lfm2Config

    config = Lfm2Config.from_pretrained(tiny / "audio_detokenizer")
    config.layer_types = ["conv", "full_attention"]
    decoder = liquid_audio.LFM2AudioDetokenizer(config)
    decoder.load_state_dict(load_file(tiny / "audio_detokenizer" / "model.safetensors"))
    return torch.no_grad()(decoder.eval())


def test_the_speech_decoder_is_on_its_processors_device(processor: Any):
    """A processor that was moved has its decoder on its own device, not on that of the scope."""
    with patched("liquid-audio", device="cpu"), pytest.warns(UserWarning, match="meta"):
        decoder = processor.to("meta").audio_detokenizer
    assert {parameter.device.type for parameter in decoder.parameters()} == {"meta"}


def test_the_patched_getter_refuses_as_upstream_does(processor: Any, tmp_path: Path):
    """The patched getter raises the errors of upstream's getter."""
    getter = liquid_audio.LFM2AudioProcessor.audio_detokenizer
    processor.detokenizer_path = None
    with patched("liquid-audio", device="cpu"):
        assert liquid_audio.LFM2AudioProcessor.audio_detokenizer is not getter
        with pytest.raises(AttributeError, match="does not provide LFM based audio detokenizer"):
            processor.audio_detokenizer  # noqa: B018 - the access is what is tested
        with pytest.raises(AttributeError):
            processor.audio_detokenizer = None


def test_the_decoder_patch_is_retired_if_the_getter_is_fixed(
    fix_upstream: Callable[..., Any], processor: Any, codes: Any
):
    """A getter that moves the decoder to the processor's device is not changed."""
    owner = liquid_audio.LFM2AudioProcessor
    getter = vars(owner)["audio_detokenizer"]
    fixed = fix_upstream(owner, "audio_detokenizer", getter.fget, (".cuda()", ".to(self.device)"))
    with patched("liquid-audio", device="cpu") as scope:
        assert scope.status(DETOKENIZER) == "retired"
        assert vars(owner)["audio_detokenizer"] is fixed
        assert processor.decode(codes).isfinite().all()


@pytest.mark.parametrize(
    ("replacement", "status"),
    [(None, "retired"), (lambda _self: None, "failed"), (property(lambda self: self.decoder.cuda()), "failed")],
    ids=["removed", "no-property", "other-class"],
)
def test_an_unknown_getter_is_not_changed(replacement: Any, status: str):
    """A getter that the patch does not know is reported and not changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(liquid_audio.LFM2AudioProcessor, "audio_detokenizer", replacement)
        if replacement is None:
            patch.delattr(liquid_audio.LFM2AudioProcessor, "audio_detokenizer")
        with patched("liquid-audio", device="cpu") as scope:
            assert scope.status(DETOKENIZER) == status
            assert vars(liquid_audio.LFM2AudioProcessor).get("audio_detokenizer") is replacement


@without_cuda
def test_the_default_device_works_only_with_the_patch(tiny: Path):
    """Both loaders use cuda by default and fail; with the patch, the default is the scope's device."""
    loaders = (liquid_audio.LFM2AudioProcessor, liquid_audio.LFM2AudioModel)
    before = [vars(owner)["from_pretrained"] for owner in loaders]
    for _ in range(2):
        for owner in loaders:
            with pytest.raises((RuntimeError, AssertionError), match=NO_CUDA):
                owner.from_pretrained(tiny)
        with patched("liquid-audio", device="cpu") as scope:
            assert scope.status(DEFAULT) == "applied"
            assert [owner.from_pretrained(tiny).device.type for owner in loaders[:1]] == ["cpu"]
            assert liquid_audio.LFM2AudioModel.from_pretrained(tiny).codebook_offsets.device.type == "cpu"
        with patched("liquid-audio", device="mps", patches=DEFAULT):
            assert liquid_audio.LFM2AudioProcessor.from_pretrained(tiny, device="cpu").device.type == "cpu"
            with patched("liquid-audio", device="cpu", patches=DEFAULT):
                assert liquid_audio.LFM2AudioProcessor.from_pretrained(tiny).device.type == "cpu"
            with pytest.raises(RuntimeError, match="mps"):
                liquid_audio.LFM2AudioProcessor.from_pretrained(tiny)
        assert [vars(owner)["from_pretrained"] for owner in loaders] == before


@without_cuda
def test_a_nested_block_for_cuda_uses_cuda(tiny: Path):
    """A block for cuda inside a block for the CPU needs no patch and uses cuda."""
    with patched("liquid-audio", device="cpu"), patched("liquid-audio", device="cuda") as inner:
        assert inner.status(DEFAULT) == "not-needed"
        with pytest.raises((RuntimeError, AssertionError), match=NO_CUDA):
            liquid_audio.LFM2AudioProcessor.from_pretrained(tiny)


CUDA_DEFAULT = 'device: torch.device | str = "cuda"'


def test_the_default_device_patch_is_retired_if_both_loaders_are_fixed(fix_upstream: Callable[..., Any], tiny: Path):
    """A fixed loader keeps its default while the other is patched; with both fixed, the patch is retired."""
    processor, model = liquid_audio.LFM2AudioProcessor, liquid_audio.LFM2AudioModel
    loader = vars(model)["from_pretrained"].__func__
    fixed = fix_upstream(model, "from_pretrained", loader, (CUDA_DEFAULT, 'device: torch.device | str = "meta"'))
    with patched("liquid-audio", device="cpu", patches=DEFAULT) as scope:
        assert scope.status(DEFAULT) == "applied"
        assert vars(model)["from_pretrained"] is fixed
        assert processor.from_pretrained(tiny).device.type == "cpu"
    loader = vars(processor)["from_pretrained"].__func__
    fix_upstream(processor, "from_pretrained", loader, (CUDA_DEFAULT, 'device: torch.device | str = "cpu"'))
    with patched("liquid-audio", device="cpu") as scope:
        assert scope.status(DEFAULT) == "retired"
        assert vars(model)["from_pretrained"] is fixed


def attention(model: Any) -> str:
    """Return the attention implementation of a model."""
    return model.lfm.config._attn_implementation  # noqa: SLF001 - transformers has no public name for it


def test_a_model_loads_beside_flash_attention_only_with_the_patch(flash_attn: None, tiny: Path):
    """Upstream uses flash attention if it is installed, and fails; with the patch, PyTorch's attention is used."""
    names = vars(lfm2_audio)["module_exists"], vars(liquid_audio.LFM2AudioModel)["from_pretrained"]
    for _ in range(2):
        with pytest.raises(ImportError, match=r"FlashAttention2 has been toggled on|flash_attn"):
            liquid_audio.LFM2AudioModel.from_pretrained(tiny, device="cpu")
        with patched("liquid-audio", device="cpu") as scope:
            assert scope.status(FLASH) == "applied"
            model = liquid_audio.LFM2AudioModel.from_pretrained(tiny, device="cpu")
            assert attention(model) == "sdpa"
        assert names == (vars(lfm2_audio)["module_exists"], vars(liquid_audio.LFM2AudioModel)["from_pretrained"])


def test_flash_attention_is_hidden_only_during_a_load(flash_attn: None, tiny: Path):
    """While a model is loaded off CUDA, other threads and other packages get upstream's answers."""
    answers: list[bool] = []

    class QueryingModel(liquid_audio.LFM2AudioModel):
        def __init__(self, conf: Any) -> None:
            answers.extend(lfm2_audio.module_exists(name) for name in ("flash_attn", "torch"))
            other = threading.Thread(target=lambda: answers.append(lfm2_audio.module_exists("flash_attn")))
            other.start()
            other.join()
            super().__init__(conf)

    with patched("liquid-audio", device="cpu"):
        QueryingModel.from_pretrained(tiny, device="cpu")
        answers.append(lfm2_audio.module_exists("flash_attn"))
        with pytest.raises((RuntimeError, AssertionError)):
            QueryingModel.from_pretrained(tiny, device="cuda:99")
        answers.append(lfm2_audio.module_exists("flash_attn"))
    assert answers == [False, *[True] * 7]


@pytest.mark.parametrize("names", [(DEFAULT, FLASH), (FLASH, DEFAULT)], ids=["default-first", "flash-first"])
def test_the_default_device_selects_the_attention(flash_attn: None, tiny: Path, names: tuple[str, str]):
    """With both patches in any order, a model loaded without a device is off CUDA without flash attention."""
    first, second = names
    with patched("liquid-audio", device="cpu", patches=first), patched("liquid-audio", device="cpu", patches=second):
        model = liquid_audio.LFM2AudioModel.from_pretrained(tiny)
    assert (model.codebook_offsets.device.type, attention(model)) == ("cpu", "sdpa")


def test_the_flash_patch_is_not_needed_without_the_package_or_on_cuda(request: pytest.FixtureRequest):
    """The patch is not needed if flash attention is not installed, or on cuda."""
    before = vars(lfm2_audio)["module_exists"]
    with patched("liquid-audio", device="cpu", patches=FLASH) as scope:
        assert {status.name: status.reason for status in scope.report}[FLASH] == "flash_attn is not installed"
    request.getfixturevalue("flash_attn")
    with patched("liquid-audio", device="cuda", patches=FLASH) as scope:
        assert scope.status(FLASH) == "not-needed"
        assert vars(lfm2_audio)["module_exists"] is before


@pytest.mark.parametrize("removed", [False, True])
def test_the_flash_patch_is_retired_if_upstream_is_fixed(
    flash_attn: None,
    fix_upstream: Callable[..., Any],
    tiny: Path,
    removed: bool,  # noqa: FBT001 - a parameter of the test
):
    """A fixed loader is not changed, with or without ``module_exists`` in the module."""
    model = liquid_audio.LFM2AudioModel
    fixed = fix_upstream(
        model, "from_pretrained", vars(model)["from_pretrained"].__func__, ('module_exists("flash_attn")', "False")
    )
    with pytest.MonkeyPatch.context() as patch:
        if removed:
            patch.delattr(lfm2_audio, "module_exists")
        with patched("liquid-audio", device="cpu", patches=FLASH) as scope:
            assert scope.status(FLASH) == "retired"
            assert vars(model)["from_pretrained"] is fixed
            assert attention(model.from_pretrained(tiny, device="cpu")) == "sdpa"


def test_patching_draws_no_random_numbers():
    """The random numbers after a seed are the same with and without patches."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with patched("liquid-audio", device="cpu") as scope:
        assert scope.status(DETOKENIZER) == "applied"
    assert torch.equal(torch.rand(3), expected)


def load(tiny: Path, **options: Any) -> Any:
    """Load the tiny checkpoint on the CPU."""
    return asrlab.load(f"liquid-audio/{tiny}", device="cpu", **options)


@without_cuda
def test_a_transcriber_applies_and_reports_its_patches(tiny: Path, clips: tuple[Path, ...], codes: Any):
    """A transcriber applies its patches, transcripts report them, and closing restores the package."""
    getter = vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"]
    with load(tiny) as transcriber:
        processor = transcriber.recognizer.processor
        report = {status.name: status.status for status in transcriber.patch_report if status.name != RESAMPLING}
        assert report == {DETOKENIZER: "applied", FLASH: "not-needed", DEFAULT: "skipped"}
        transcript = transcriber.transcribe(clips[1])
        assert transcript.text == "speak_now"
        assert transcript.patches == transcriber.patch_report
        assert asrlab.Transcript.from_json(transcript.to("json")).patches == transcript.patches
        assert processor.decode(codes).isfinite().all()
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter


@pytest.mark.parametrize("given_by", ["argument", "environment"])
def test_a_transcriber_without_patches_transcribes_and_cannot_speak(
    tiny: Path, clips: tuple[Path, ...], codes: Any, monkeypatch: pytest.MonkeyPatch, given_by: str
):
    """``off`` skips all patches; recognition works, and the speech decoder fails as upstream's does."""
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device: upstream works here")
    with monkeypatch.context() as environment:
        if given_by == "environment":
            environment.setenv("ASRLAB_PATCHES", "off")
        with load(tiny, **({"patches": "off"} if given_by == "argument" else {})) as transcriber:
            assert {status.status for status in transcriber.patch_report} == {"skipped"}
            assert transcriber.transcribe(clips[1]).text == "speak_now"
            with pytest.raises((RuntimeError, AssertionError), match=NO_CUDA):
                transcriber.recognizer.processor.decode(codes)


@pytest.fixture
def unknown_getter() -> Iterator[None]:
    """Replace the getter of the speech decoder by one that the patch does not know."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(liquid_audio.LFM2AudioProcessor, "audio_detokenizer", lambda _self: None)
        yield


def test_a_failing_patch_does_not_fail_recognition(
    unknown_getter: None, tiny: Path, clips: tuple[Path, ...], caplog: pytest.LogCaptureFixture
):
    """Speech is recognized even if the patch of the speech decoder fails, and the failure is reported."""
    with load(tiny) as transcriber:
        assert {status.name: status.status for status in transcriber.patch_report}[DETOKENIZER] == "failed"
        transcript = transcriber.transcribe(clips[1])
    assert transcript.text == "speak_now"
    reason = {status.name: status.reason for status in transcript.patches}[DETOKENIZER]
    assert reason.startswith("TypeError: liquid_audio.processor:LFM2AudioProcessor.audio_deto")


def test_a_named_patch_that_fails_fails_the_load(unknown_getter: None, flash_attn: None, tiny: Path):
    """A patch named in ``patches=`` that fails is an error before the model is loaded."""
    with pytest.raises(asrlab.PatchError, match=DETOKENIZER):
        load(tiny, patches=[FLASH, DETOKENIZER])
    with pytest.raises(asrlab.PatchError, match="did you mean 'liquid-audio-flash-attention'"):
        load(tiny, patches="liquid-audio-flash")


def test_a_load_that_fails_undoes_its_patches(tiny: Path, tmp_path: Path):
    """A folder without a model is an error, and the package is restored."""
    getter = vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"]
    for file in tiny.iterdir():
        if file.name != "config.json":
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(asrlab.AsrlabError):
        load(tmp_path)
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter


def test_a_garbage_collected_transcriber_undoes_its_patches(tiny: Path):
    """A transcriber that is garbage collected without ``close`` restores the package."""
    getter = vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"]
    transcriber = load(tiny)
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is not getter
    del transcriber
    gc.collect()
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter


def test_threads_that_load_and_close_restore_the_package(tiny: Path, codes: Any):
    """Two threads load, decode speech and close twice each; the speech decoder works, and the package is restored."""
    getter = vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"]
    waves: list[Any] = []

    def load_and_close() -> None:
        for _ in range(2):
            with load(tiny) as transcriber:
                waves.append(transcriber.recognizer.processor.decode(codes))

    threads = [threading.Thread(target=load_and_close) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waves) == 4
    assert all(torch.equal(wave, waves[0]) for wave in waves)
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter
