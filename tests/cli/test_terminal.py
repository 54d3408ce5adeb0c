"""Control characters in text from others: every command escapes them on terminals and in pipes."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

from asrlab.control_characters import escape_controls, escape_json, unescape_controls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# a window's title, the clipboard, colours, C1's CSI and OSC, DEL, an override and isolates, a bell and a return
HOSTILE = "\x1b]0;pwned\x07\x1b[35;45;5mred\x9b2J\x9d0;t\x9c\x7f\u202eevil\u2066x\u2069\x1b]52;c;QUFB\x1b\\\r"
# characters that file names, ids and model names may contain
NAME = "\x1b]0;pwned\x07\x9b2J\u202eevil\x7f"
ESCAPED = "\\x1b]0;pwned\\x07"
STYLE_PATTERN = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[AKG])|\r")
UNSAFE_PATTERN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

PLUGIN = """
import logging, sys, warnings
import asrlab
from asrlab.patches import Patch, PatchDecision

HOSTILE, NAME = {hostile!r}, {name!r}
asrlab_plugin_api = 2


@asrlab.plugin.hookimpl
def asrlab_engines():
    models = (asrlab.plugin.ModelSpec(name="text", description=HOSTILE), asrlab.plugin.ModelSpec(name="raise"),
              asrlab.plugin.ModelSpec(name=NAME))
    return [asrlab.plugin.EngineSpec(name="hostile", factory="hostile:load", devices="hostile:devices",
                              default_model="text", models=models)]


@asrlab.plugin.hookimpl
def asrlab_datasets():
    return [asrlab.evaluation.DatasetSpec(name="hostile-set", description=HOSTILE, factory="hostile:dataset")]


@asrlab.plugin.hookimpl
def asrlab_patches():
    return [Patch(name="hostile-" + NAME, distribution="numpy", versions=("1",), devices=("cpu",), reason=HOSTILE,
                  issue_url=HOSTILE, obsolete_when=HOSTILE, module="numpy", changes={{}},
                  check=lambda *_: PatchDecision(status="not-needed", reason=HOSTILE))]


def dataset():
    utterance = lambda name: asrlab.evaluation.Utterance(
        id=name + NAME, audio="tones/b-odd.wav", text="heard " + HOSTILE, speaker=NAME, recording=NAME)
    return asrlab.evaluation.Dataset(name="hostile-set", source=HOSTILE, read=lambda: [utterance("a"), utterance("b")])


def devices():
    return asrlab.DeviceReport(available=("cpu",), missing=(("mps", HOSTILE),))


class Hostile(asrlab.plugin.Recognizer):
    def recognize(self, audio, options):
        samples = audio.read()
        print(HOSTILE, file=sys.stderr)
        logging.getLogger("asrlab.hostile").warning(HOSTILE)
        logging.getLogger("elsewhere").warning(HOSTILE)
        warnings.warn(HOSTILE)
        if self.info.model.name.endswith("/raise"):
            raise ValueError(HOSTILE)
        word = asrlab.Word(text=HOSTILE, start=0.0, end=0.4)
        words = (word,) if options.word_timestamps else None
        segment = asrlab.Segment(text="loud " + HOSTILE, start=0.0, end=0.5, words=words)
        return asrlab.plugin.Recognition(segments=iter([segment]), language="en")

    def release(self):
        pass


def load(request):
    return Hostile(asrlab.TranscriberInfo(
        model=request.model, device=request.device, compute_type="float32", threads=1,
        capabilities=asrlab.Capabilities(word_timestamps=True)))
"""
FORMATS = ("txt", "srt", "vtt", "tsv", "json", "ctm", "stm", "trn", "textgrid", "jsonl")
TEXTS = ("csv", "tsv", "trn", "ctm", "stm", "jsonl")
FILE = f"tones/{NAME}.wav"
CASES: dict[str, tuple[str, ...]] = {
    "bench": ("bench", "hostile-set", "-m", "hostile/text", "-m", "hostile/raise", "--run", "another"),
    "bench-json": ("bench", "hostile-set", "-m", "hostile/text", "--run", "third", "--json"),
    "resume": ("resume", "run"),
    "runs": ("runs",),
    "runs-json": ("runs", "--json"),
    "show": ("runs", "run", "--verbose"),
    "show-json": ("runs", "run", "--json"),
    "export": ("runs", "run", "--export", "-"),
    **{
        f"texts-{file_format}": ("runs", "run", "--texts", "-", "-f", file_format, "-m", "hostile/text")
        for file_format in TEXTS
    },
    "compare": ("compare", "run", "--resamples", "10"),
    "compare-json": ("compare", "run", "--resamples", "10", "--json"),
    "report": ("report", "run", "--resamples", "10", "-o", "-"),
    "score": ("score", f"{NAME}.csv", "--resamples", "10"),
    "score-json": ("score", f"{NAME}.csv", "--resamples", "10", "--json"),
    "verify": ("verify", f"{NAME}.md"),
    "verify-json": ("verify", f"{NAME}.md", "--json"),
    **{
        f"transcribe-{file_format}": ("transcribe", FILE, "-m", "hostile/text", "-f", file_format)
        for file_format in FORMATS
    },
    "transcribe-several": ("transcribe", FILE, FILE, "-m", "hostile/text", "--word-timestamps", "-f", "ctm"),
    "transcribe-json": ("transcribe", FILE, "-m", "hostile/text", "--json"),
    "transcribe-folder": ("transcribe", FILE, "-m", "hostile/text", "-o", f"out-{NAME}"),
    "transcribe-error": ("transcribe", FILE, "-m", "hostile/raise"),
    "transcribe-missing": ("transcribe", f"no-{NAME}.wav", "-m", "echo"),
    "transcribe-model": ("transcribe", FILE, "-m", f"hostile/{NAME}x", "--json"),
    "transcribe-language": ("transcribe", FILE, "-m", "echo", "--language", NAME),
    "models": ("models",),
    "models-json": ("models", "--json"),
    "devices": ("devices",),
    "plugins": ("plugins",),
    "plugins-json": ("plugins", "--json"),
    "patches": ("patches",),
    "doctor": ("doctor",),
    "pull": ("pull", f"hostile/{NAME}"),
    "tune": ("tune", f"hostile/{NAME}", "--forget"),
    "new-plugin": ("new-plugin", NAME),
    "completion": ("completion", NAME),
    "no-command": (NAME,),
    "no-option": ("models", f"--{NAME}"),
}
# only tables and progress differ between a pipe and a terminal, documents and JSON do not
COMMANDS_WITH_TABLES = {
    name for name in CASES if not name.endswith("json") and not name.startswith(("texts-", "transcribe-"))
}
CASES_BY_STREAM = [
    *((name, "pipe") for name in CASES if name != "bench"),
    *(
        (name, "terminal")
        for name in [*sorted(COMMANDS_WITH_TABLES), "transcribe-txt", "transcribe-error", "show-json"]
    ),
]


@pytest.fixture(scope="module")
def workplace(
    tmp_path_factory: pytest.TempPathFactory, small_folder: Path, run_forked: Any, plugins: tuple[Path, ...]
) -> Path:
    """Return a folder with hostile names, and with a finished run of hostile texts."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(small_folder, folder / "tones")
    shutil.copy(folder / "tones" / "b-odd.wav", folder / FILE)
    (folder / f"{NAME}.csv").write_text(f"utt_id,text,reference\n{NAME},{HOSTILE[:-1]},other {NAME}\n", newline="")
    (folder / f"{NAME}.md").write_text(f"hostile/{NAME} is 10 times faster than whisper, WER 3.2 % {NAME}\n")
    (folder / "evidence").mkdir()
    arguments = ("bench", "hostile-set", "-m", "hostile/text", "-m", "echo", "--run", "run")
    [result] = run_forked([(arguments, {})], folder=folder, plugins=plugins, **ENVIRONMENT)
    assert result.code == 0, result
    return folder


ENVIRONMENT = {
    "ASRLAB_DISABLE_PLUGINS": "faster-whisper,openai-whisper,liquid-audio",
    "COLUMNS": "200",
    "TERM": "xterm",
}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> tuple[Path, ...]:
    """Return a folder with a plugin whose texts are hostile, and with a plugin whose error is hostile."""
    folder = tmp_path_factory.mktemp("plugins")
    write_distribution(folder, "hostile", source=PLUGIN.format(hostile=HOSTILE, name=NAME))
    write_distribution(folder, "broken", source=f"raise RuntimeError({HOSTILE!r})")
    return (folder,)


@pytest.fixture(scope="module")
def results(workplace: Path, run_forked: Any, plugins: tuple[Path, ...]) -> dict[tuple[str, str], Any]:
    """Return the result of each command by its name and by the kind of its streams."""
    cases = [(CASES[name], {"stdout": kind, "stderr": kind}) for name, kind in CASES_BY_STREAM]
    results = run_forked(cases, folder=workplace, plugins=plugins, ASRLAB_RUNS=str(workplace), **ENVIRONMENT)
    return dict(zip(CASES_BY_STREAM, results, strict=True))


@pytest.mark.parametrize(("name", "kind"), CASES_BY_STREAM)
def test_no_control_character_is_printed(results: Any, name: str, kind: str):
    """Neither stream has control characters, apart from asrlab's own styles on a terminal."""
    result = results[name, kind]
    assert result.code not in {70, 120}, result
    for data in (result.stdout, result.stderr):
        text = data.decode()  # fails unless the output is UTF-8
        assert "\x1b[35;45;5m" not in text
        if kind == "terminal":
            text = STYLE_PATTERN.sub("", text)
        assert UNSAFE_PATTERN.findall(text) == []
    if name not in {"completion", "runs", "runs-json"} and kind == "pipe":
        assert "pwned" in (result.stdout + result.stderr).decode()


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith("-json") or name == "export"])
def test_json_has_the_same_values(results: Any, name: str):
    """JSON output escapes control characters, so that a reader of the document gets the original text."""
    text = results[name, "pipe"].stdout.decode()
    values = [json.loads(line) for line in text.splitlines()] if name == "export" else json.loads(text)
    document = json.dumps(values, ensure_ascii=False)
    assert ("\\u001b]0;pwned\\u0007" in document) == (name != "runs-json")
    assert ("\u202e" in document) == (name != "runs-json")


@pytest.mark.parametrize("file_format", TEXTS)
def test_exported_texts_are_read_back(results: Any, workplace: Path, file_format: str):
    """Ids and texts in the files of ``runs --texts`` are those of the run."""
    from asrlab.evaluation.datasets.hypotheses import read_hypotheses
    from asrlab.evaluation.datasets.stm import read_stm_references

    path = workplace / f"back.{file_format}"
    path.write_bytes(results[f"texts-{file_format}", "pipe"].stdout.partition(b"loudloud")[0])
    one_line = " ".join(f"loud {HOSTILE}".split())
    if file_format == "stm":
        assert {segment.text for segment in read_stm_references(path)} == {one_line}
        return
    rows = {row.id: row.text for row in read_hypotheses(path).hypotheses}
    if file_format == "jsonl":
        assert set(rows.values()) == {f"loud {HOSTILE}"}
    else:
        assert set(rows) == {f"a{NAME}", f"b{NAME}"}
        assert {" ".join(text.split()) for text in rows.values()} == {one_line}


@pytest.mark.parametrize(
    "text",
    [
        "\\x1b", "\\\\x1b", "\\x5cx1b", "\x1b\\", "\\\x1b", "\\u202e \u202e", "C:\\x1bin\\u2066", "a\tb\nc\r",
        "\ud800 \udfff",
        "שלום \u200fعربي\u200e \u061c", "zero\u200dwidth\ufeff",
    ],
)  # fmt: skip
def test_an_escape_can_be_undone(text: str):
    """Every text can be restored from its escaped form, and ordinary text is not changed."""
    written = escape_controls(text, reversible=True)
    assert unescape_controls(written) == text
    assert not UNSAFE_PATTERN.search(written)
    assert json.loads(escape_json(json.dumps(text, ensure_ascii=False))) == text
    if not UNSAFE_PATTERN.search(text) and "\\" not in text and "\ud800" not in text:
        assert written == text == escape_controls(text)


def test_every_control_character_and_direction_override_is_escaped():
    """The escaped characters are Unicode's controls and overrides, without right-to-left marks."""
    unsafe = {chr(code) for code in range(0x110000) if escape_controls(chr(code)) != chr(code)}
    controls = {chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cs")}
    overrides = {
        chr(code)
        for code in range(0x110000)
        if unicodedata.bidirectional(chr(code)) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    }
    assert unsafe == (controls - {"\n", "\t"}) | overrides
