"""The patches of liquid-audio, against the real package with a tiny checkpoint: without, with, after, and repaired."""

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
RESAMPLING = "liquid-audio-resampling"  # its tests are in test_liquid_audio_resampling.py

# torch built for CUDA, and torch built without it
NO_CUDA = "Found no NVIDIA driver on your system|Torch not compiled with CUDA enabled"

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device: upstream works here")


@pytest.fixture(scope="session")
def codes() -> Any:
    """A second of speech in codes, int64, shape (1, 8, 12)."""
    return torch.arange(96).reshape(1, 8, 12) * 21


@pytest.fixture
def processor(tiny: Path) -> Any:
    """A processor on the CPU that has not built its speech decoder."""
    return liquid_audio.LFM2AudioProcessor.from_pretrained(tiny, device="cpu").eval()


@pytest.fixture
def flash_attn(tmp_path: Path) -> Iterator[None]:
    """A package of this name can be found."""
    (tmp_path / "flash_attn.py").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        yield


@pytest.fixture
def repaired() -> Iterator[Callable[..., Any]]:
    """Puts a function of upstream's in place with some of its text replaced, as upstream may repair it."""
    with pytest.MonkeyPatch.context() as patch:

        def repair(owner: type, name: str, function: Any, *replaced: tuple[str, str]) -> Any:
            source = textwrap.dedent(inspect.getsource(function))
            for old, new in replaced:
                assert old in source
                source = source.replace(old, new)
            names = dict(vars(sys.modules[owner.__module__]))
            exec(source, names)  # noqa: S102 - upstream's own code
            patch.setattr(owner, name, names[name])
            return vars(owner)[name]

        yield repair


@without_cuda
def test_speech_is_decoded_on_the_device_only_with_the_patch(processor: Any, codes: Any, tiny: Path):
    """Upstream's ``.cuda()`` fails; patched, the codes become a waveform on the device; afterwards it fails again."""
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
    assert torch.equal(wave, _by_hand(tiny)(codes))
    assert type(processor.audio_detokenizer) is liquid_audio.LFM2AudioDetokenizer
    assert "cuda" not in vars(type(processor.audio_detokenizer))
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter
    another = liquid_audio.LFM2AudioProcessor.from_pretrained(tiny, device="cpu")
    with pytest.raises((RuntimeError, AssertionError), match=NO_CUDA):
        another.decode(codes)


def _by_hand(tiny: Path) -> Any:
    """The speech decoder, built on the CPU without any getter."""
    from safetensors.torch import load_file
    from transformers import Lfm2Config

    config = Lfm2Config.from_pretrained(tiny / "audio_detokenizer")
    config.layer_types = ["conv", "full_attention"]
    decoder = liquid_audio.LFM2AudioDetokenizer(config)
    decoder.load_state_dict(load_file(tiny / "audio_detokenizer" / "model.safetensors"))
    return torch.no_grad()(decoder.eval())


def test_the_speech_decoder_is_put_where_its_processor_is(processor: Any):
    """Not where the scope is: a processor that was moved gets its decoder there."""
    with patched("liquid-audio", device="cpu"), pytest.warns(UserWarning, match="meta"):
        decoder = processor.to("meta").audio_detokenizer
    assert {parameter.device.type for parameter in decoder.parameters()} == {"meta"}


def test_the_getter_of_the_speech_decoder_is_still_upstreams(processor: Any, tmp_path: Path):
    """Patched, what upstream refuses is refused as before, and its documentation is there."""
    getter = liquid_audio.LFM2AudioProcessor.audio_detokenizer
    processor.detokenizer_path = None
    with patched("liquid-audio", device="cpu"):
        assert liquid_audio.LFM2AudioProcessor.audio_detokenizer is not getter
        with pytest.raises(AttributeError, match="does not provide LFM based audio detokenizer"):
            processor.audio_detokenizer  # noqa: B018 - the access is what is tested
        with pytest.raises(AttributeError):
            processor.audio_detokenizer = None


def test_the_speech_decoders_patch_retires_when_the_getter_is_repaired(
    repaired: Callable[..., Any], processor: Any, codes: Any
):
    """A getter that moves to the processor's device works alone: nothing is changed."""
    owner = liquid_audio.LFM2AudioProcessor
    getter = vars(owner)["audio_detokenizer"]
    mended = repaired(owner, "audio_detokenizer", getter.fget, (".cuda()", ".to(self.device)"))
    with patched("liquid-audio", device="cpu") as scope:
        assert scope.status(DETOKENIZER) == "retired"
        assert vars(owner)["audio_detokenizer"] is mended
        assert processor.decode(codes).isfinite().all()


@pytest.mark.parametrize(
    ("replacement", "status"),
    [(None, "retired"), (lambda _self: None, "failed"), (property(lambda self: self.decoder.cuda()), "failed")],
    ids=["gone", "no-property", "other-class"],
)
def test_a_getter_that_cannot_be_known_is_not_changed(replacement: Any, status: str):
    """Where upstream's getter is something else altogether, the patch says so and leaves it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(liquid_audio.LFM2AudioProcessor, "audio_detokenizer", replacement)
        if replacement is None:
            patch.delattr(liquid_audio.LFM2AudioProcessor, "audio_detokenizer")
        with patched("liquid-audio", device="cpu") as scope:
            assert scope.status(DETOKENIZER) == status
            assert vars(liquid_audio.LFM2AudioProcessor).get("audio_detokenizer") is replacement


@without_cuda
def test_code_that_names_no_device_runs_only_with_the_patch(tiny: Path):
    """Both loaders go to cuda by default and fail; patched, to the scope's device, unless one is named."""
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
def test_inside_a_block_the_cuda_user_still_gets_cuda(tiny: Path):
    """A block for cuda inside one for the CPU needs no patch, and is not sent to the CPU."""
    with patched("liquid-audio", device="cpu"), patched("liquid-audio", device="cuda") as inner:
        assert inner.status(DEFAULT) == "not-needed"
        with pytest.raises((RuntimeError, AssertionError), match=NO_CUDA):
            liquid_audio.LFM2AudioProcessor.from_pretrained(tiny)


CUDA_DEFAULT = 'device: torch.device | str = "cuda"'


def test_the_default_devices_patch_retires_when_both_loaders_are_repaired(repaired: Callable[..., Any], tiny: Path):
    """One repaired loader keeps its own default, and the other is still patched; with both repaired nothing is."""
    processor, model = liquid_audio.LFM2AudioProcessor, liquid_audio.LFM2AudioModel
    loader = vars(model)["from_pretrained"].__func__
    mended = repaired(model, "from_pretrained", loader, (CUDA_DEFAULT, 'device: torch.device | str = "meta"'))
    with patched("liquid-audio", device="cpu", patches=DEFAULT) as scope:
        assert scope.status(DEFAULT) == "applied"
        assert vars(model)["from_pretrained"] is mended
        assert processor.from_pretrained(tiny).device.type == "cpu"
    loader = vars(processor)["from_pretrained"].__func__
    repaired(processor, "from_pretrained", loader, (CUDA_DEFAULT, 'device: torch.device | str = "cpu"'))
    with patched("liquid-audio", device="cpu") as scope:
        assert scope.status(DEFAULT) == "retired"
        assert vars(model)["from_pretrained"] is mended


def attention(model: Any) -> str:
    """Which implementation of attention the model uses."""
    return model.lfm.config._attn_implementation  # noqa: SLF001 - transformers has no public name for it


def test_a_model_loads_beside_flash_attention_only_with_the_patch(flash_attn: None, tiny: Path):
    """Upstream takes flash attention for being there, and fails; patched, PyTorch's own attention is taken."""
    names = vars(lfm2_audio)["module_exists"], vars(liquid_audio.LFM2AudioModel)["from_pretrained"]
    for _ in range(2):
        with pytest.raises(ImportError, match=r"FlashAttention2 has been toggled on|flash_attn"):
            liquid_audio.LFM2AudioModel.from_pretrained(tiny, device="cpu")
        with patched("liquid-audio", device="cpu") as scope:
            assert scope.status(FLASH) == "applied"
            model = liquid_audio.LFM2AudioModel.from_pretrained(tiny, device="cpu")
            assert attention(model) == "sdpa"
        assert names == (vars(lfm2_audio)["module_exists"], vars(liquid_audio.LFM2AudioModel)["from_pretrained"])


def test_flash_attention_is_hidden_from_that_load_alone(flash_attn: None, tiny: Path):
    """While a model is loaded off CUDA, other threads and other questions are answered as upstream does."""
    answers: list[bool] = []

    class Asking(liquid_audio.LFM2AudioModel):
        def __init__(self, conf: Any) -> None:
            answers.extend(lfm2_audio.module_exists(name) for name in ("flash_attn", "torch"))
            other = threading.Thread(target=lambda: answers.append(lfm2_audio.module_exists("flash_attn")))
            other.start()
            other.join()
            super().__init__(conf)

    with patched("liquid-audio", device="cpu"):
        Asking.from_pretrained(tiny, device="cpu")
        answers.append(lfm2_audio.module_exists("flash_attn"))
        with pytest.raises((RuntimeError, AssertionError)):
            Asking.from_pretrained(tiny, device="cuda:99")
        answers.append(lfm2_audio.module_exists("flash_attn"))
    assert answers == [False, *[True] * 7]


@pytest.mark.parametrize("names", [(DEFAULT, FLASH), (FLASH, DEFAULT)], ids=["default-first", "flash-first"])
def test_the_default_device_is_known_to_the_choice_of_attention(flash_attn: None, tiny: Path, names: tuple[str, str]):
    """In whichever order the two come, a model loaded without a device is loaded off CUDA without flash attention."""
    first, second = names
    with patched("liquid-audio", device="cpu", patches=first), patched("liquid-audio", device="cpu", patches=second):
        model = liquid_audio.LFM2AudioModel.from_pretrained(tiny)
    assert (model.codebook_offsets.device.type, attention(model)) == ("cpu", "sdpa")


def test_flash_attention_is_no_matter_without_the_package_or_on_cuda(request: pytest.FixtureRequest):
    """Not installed, or on cuda: not needed, and nothing is changed."""
    before = vars(lfm2_audio)["module_exists"]
    with patched("liquid-audio", device="cpu", patches=FLASH) as scope:
        assert {each.name: each.reason for each in scope.report}[FLASH] == "flash_attn is not installed"
    request.getfixturevalue("flash_attn")
    with patched("liquid-audio", device="cuda", patches=FLASH) as scope:
        assert scope.status(FLASH) == "not-needed"
        assert vars(lfm2_audio)["module_exists"] is before


@pytest.mark.parametrize("gone", [False, True])
def test_the_flash_patch_retires_when_upstream_no_longer_asks(
    flash_attn: None,
    repaired: Callable[..., Any],
    tiny: Path,
    gone: bool,  # noqa: FBT001 - a case
):
    """A loader that decides otherwise works alone, whether ``module_exists`` is still in the module or not."""
    model = liquid_audio.LFM2AudioModel
    mended = repaired(
        model, "from_pretrained", vars(model)["from_pretrained"].__func__, ('module_exists("flash_attn")', "False")
    )
    with pytest.MonkeyPatch.context() as patch:
        if gone:
            patch.delattr(lfm2_audio, "module_exists")
        with patched("liquid-audio", device="cpu", patches=FLASH) as scope:
            assert scope.status(FLASH) == "retired"
            assert vars(model)["from_pretrained"] is mended
            assert attention(model.from_pretrained(tiny, device="cpu")) == "sdpa"


def test_patching_draws_none_of_the_users_random_numbers():
    """What torch draws after a seed is the same whether patches were applied in between or not."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with patched("liquid-audio", device="cpu") as scope:
        assert scope.status(DETOKENIZER) == "applied"
    assert torch.equal(torch.rand(3), expected)


def load(tiny: Path, **options: Any) -> Any:
    """The tiny checkpoint as a transcriber on the CPU."""
    return asrlab.load(f"liquid-audio/{tiny}", device="cpu", **options)


@without_cuda
def test_a_transcriber_holds_its_patches_and_tells_of_them(tiny: Path, clips: tuple[Path, ...], codes: Any):
    """Loaded, the speech decoder works, and transcripts say why; closed, the package is as it was."""
    getter = vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"]
    with load(tiny) as transcriber:
        processor = transcriber.processor
        report = {each.name: each.status for each in transcriber.patch_report if each.name != RESAMPLING}
        assert report == {DETOKENIZER: "applied", FLASH: "not-needed", DEFAULT: "skipped"}
        transcript = transcriber.transcribe(clips[1])
        assert transcript.text == "speak_now"
        assert transcript.patches == transcriber.patch_report
        assert asrlab.Transcript.from_json(transcript.to("json")).patches == transcript.patches
        assert processor.decode(codes).isfinite().all()
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_transcriber_without_patches_transcribes_and_cannot_speak(
    tiny: Path, clips: tuple[Path, ...], codes: Any, monkeypatch: pytest.MonkeyPatch, how: str
):
    """``off`` skips all; recognition does not need them, and the speech decoder fails as upstream's does."""
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device: upstream works here")
    with monkeypatch.context() as environment:
        if how == "environment":
            environment.setenv("ASRLAB_PATCHES", "off")
        with load(tiny, **({"patches": "off"} if how == "argument" else {})) as transcriber:
            assert {each.status for each in transcriber.patch_report} == {"skipped"}
            assert transcriber.transcribe(clips[1]).text == "speak_now"
            with pytest.raises((RuntimeError, AssertionError), match=NO_CUDA):
                transcriber.processor.decode(codes)


@pytest.fixture
def unknown_getter() -> Iterator[None]:
    """A getter of the speech decoder that the patch does not know."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(liquid_audio.LFM2AudioProcessor, "audio_detokenizer", lambda _self: None)
        yield


def test_a_patch_that_fails_does_not_fail_what_does_not_need_it(
    unknown_getter: None, tiny: Path, clips: tuple[Path, ...], caplog: pytest.LogCaptureFixture
):
    """Where the speech decoder's patch cannot apply, speech is recognised all the same, and the failure is told."""
    with load(tiny) as transcriber:
        assert {each.name: each.status for each in transcriber.patch_report}[DETOKENIZER] == "failed"
        transcript = transcriber.transcribe(clips[1])
    assert transcript.text == "speak_now"
    reason = {each.name: each.reason for each in transcript.patches}[DETOKENIZER]
    assert reason.startswith("TypeError: liquid_audio.processor:LFM2AudioProcessor.audio_deto")


def test_a_patch_that_was_named_and_fails_fails_the_load(unknown_getter: None, flash_attn: None, tiny: Path):
    """Named in ``patches=``, the failure is an error before the model is loaded, and the others are undone."""
    with pytest.raises(asrlab.PatchError, match=DETOKENIZER):
        load(tiny, patches=[FLASH, DETOKENIZER])
    with pytest.raises(asrlab.PatchError, match="did you mean 'liquid-audio-flash-attention'"):
        load(tiny, patches="liquid-audio-flash")


def test_a_load_that_fails_undoes_its_patches(tiny: Path, tmp_path: Path):
    """A folder that is no model is an error, and the package is as it was."""
    getter = vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"]
    for file in tiny.iterdir():
        if file.name != "config.json":
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(asrlab.AsrlabError):
        load(tmp_path)
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter


def test_a_transcriber_that_nobody_closes_undoes_its_patches_when_collected(tiny: Path):
    """Dropped without ``close``, the package is as it was once the transcriber is collected."""
    getter = vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"]
    transcriber = load(tiny)
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is not getter
    del transcriber
    gc.collect()
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter


def test_threads_that_load_and_close_leave_the_package_as_it_was(tiny: Path, codes: Any):
    """Two threads load, decode speech and close twice each, and meanwhile the speech decoder always works."""
    getter = vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"]
    waves: list[Any] = []

    def come_and_go() -> None:
        for _ in range(2):
            with load(tiny) as transcriber:
                waves.append(transcriber.processor.decode(codes))

    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waves) == 4
    assert all(torch.equal(wave, waves[0]) for wave in waves)
    assert vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"] is getter
