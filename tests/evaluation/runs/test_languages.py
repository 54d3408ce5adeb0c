"""Runs over several languages: normalizers by language, and models that were not made for a language."""

from __future__ import annotations

import json
import logging
import re
import shutil
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import asrlab
from asrlab import TranscribeOptions
from asrlab.cli.main import main
from asrlab.evaluation.metrics import Resampling
from asrlab.evaluation.metrics.normalizers import scoring_version
from asrlab.evaluation.reports.comparison import compare
from asrlab.evaluation.runs.fingerprint import text_language, unsupported_languages
from asrlab.evaluation.runs.index import list_runs
from asrlab.evaluation.runs.load import load_run
from asrlab.testing.in_process import InProcessExecutor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asrlab.evaluation.runs.result import BenchResult

ENGLISH_ECHO = """
import attrs, asrlab
from asrlab.engines.echo import SPEC, load as load_echo

asrlab_plugin_api = 2


@asrlab.plugin.hookimpl
def asrlab_engines():
    models = (asrlab.plugin.ModelSpec(name="only", languages=("en",)),)
    return [attrs.evolve(SPEC, name="english", factory="english_echo:load", default_model="only", models=models)]


def load(request):
    transcriber = load_echo(request)
    capabilities = attrs.evolve(transcriber.info.capabilities, languages=("en",))
    transcriber.info = attrs.evolve(transcriber.info, capabilities=capabilities)
    return transcriber
"""
LANGUAGES = ("en_US", "German", None)
FEW = Resampling(resamples=100)


@pytest.fixture(scope="module")
def english_plugin(write_distribution: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plugin whose model is echo, made for English only."""
    return write_distribution(tmp_path_factory.mktemp("plugin"), "english-echo", source=ENGLISH_ECHO)


@pytest.fixture(scope="module")
def run_bench(
    english_plugin: Path, small_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., BenchResult]:
    """Run echo and English echo over a manifest of eighteen utterances in `LANGUAGES`."""
    folder = tmp_path_factory.mktemp("languages")
    shutil.copy(small_folder / "b-odd.wav", folder)
    lines = [
        {"audio_filepath": "b-odd.wav", "id": f"{n} {language}", "text": "Mister Loud's colour"}
        | ({"lang": language} if language else {})
        for n in range(6)
        for language in LANGUAGES
    ]
    manifest = folder / "languages.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def run(**options: Any) -> BenchResult:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(english_plugin)
            return asrlab.evaluation.bench(
                manifest,
                models=["echo", "english/only"],
                run=tmp_path_factory.mktemp("run") / "run",
                executor=InProcessExecutor(),
                **options,
            )

    return run


@pytest.fixture(scope="module")
def mixed(run_bench: Callable[..., BenchResult]) -> BenchResult:
    """Such a run without options."""
    return run_bench()


def test_each_utterance_is_normalized_by_its_language(mixed: BenchResult):
    """The data set's tags choose the normalizers, which the record counts and the score of every model names."""
    assert (mixed.manifest.normalizer, mixed.manifest.normalizers) == ("by-language", (("basic", 12), ("english", 6)))
    assert scoring_version().split(", ")[-1] in mixed.manifest.normalizer_version
    assert [model.score and model.score.normalizers for model in mixed.models] == [mixed.manifest.normalizers] * 2
    # "Mister Loud's colour": four words in English, "loud is" among them, and elsewhere, with "loud s"
    assert [model.score and model.score.words.reference_length for model in mixed.models] == [72, 72]


def test_the_language_option_applies_to_untagged_utterances(run_bench: Callable[..., BenchResult]):
    """``language="en_US"`` makes untagged utterances English; a translation is English whatever was spoken."""
    given = run_bench(options=TranscribeOptions(language="en_US"))

    assert given.manifest.normalizers == (("english", 12), ("basic", 6))
    assert [each.language for each in given.models[0].utterances[:3]] == ["en-US", "de", "en-US"]
    assert text_language("de", TranscribeOptions(task="translate")) == "en"
    assert text_language("de", TranscribeOptions()) == "de"


@pytest.mark.parametrize("name", ["english", "basic", "none", "leaderboard"])
def test_a_requested_normalizer_applies_to_all(run_bench: Callable[..., BenchResult], name: str):
    """A requested profile scores every utterance of a bench."""
    result = run_bench(normalizer=name)

    assert (result.manifest.normalizer, result.manifest.normalizers) == (name, ((name, 18),))


def test_an_unsupported_language_is_reported_before_the_run(
    run_bench: Callable[..., BenchResult], caplog: pytest.LogCaptureFixture
):
    """The warning counts the utterances; models without a list of languages, and unknown languages, cause none."""

    def collect(_progress: object) -> None:
        found.append([record.message for record in caplog.records if record.name == "asrlab.evaluation.runs"])

    found: list[list[str]] = []
    with caplog.at_level(logging.WARNING):
        run_bench(progress=collect)

    [warning] = found[0]
    assert warning.startswith("english/only was not made for 6 of 18 utterances (de 6): it was made for en")


def test_no_conclusion_is_given_without_the_caveat(mixed: BenchResult):
    """Headline, notes, JSON and page name the model and the languages that it was not made for."""
    remark = "english/only: not made for de"
    found = compare([mixed], resampling=FEW)

    assert all(line.endswith(f"; {remark}") for line in found.headline)
    assert any("was not made for 6 of 18 utterances" in note for note in found.notes)
    plain = json.loads(found.to_json())
    assert plain["language_caveats"] == {"english/only": "not made for de"}
    assert plain["normalizers"] == {"basic": 12, "english": 6}

    page = re.sub("<[^>]*>", "", asrlab.evaluation.report(mixed, resampling=FEW).html.decode())
    assert page.count(remark) >= 2 + len(found.headline)  # both tables of verdicts, and the headline
    assert "english/only was not made for 6 of 18 utterances (de 6)" in page
    assert "normalizer basic (12), english (6) (english: whisper-normalizer" in page


def test_tables_have_the_caveat(mixed: BenchResult, capsys: pytest.CaptureFixture[str]):
    """The terminal shows the caveat beside the conclusion, and the counts beside the normalizers."""
    shown = _printed(capsys, "runs", str(mixed.run), "--only-table", "--normalizers", "none")
    compared = _printed(capsys, "compare", str(mixed.run), "--resamples", "100")

    assert "normalizer basic (12), english (6) (english: whisper-normalizer" in shown
    assert "english/only was not made for 6 of 18 utterances (de 6): it was made for en" in shown
    assert "note: 6 of 18 utterances do not say their language and have the normalizer basic" in shown
    assert shown.count("basic (12), english (6)") == 3  # under each model, and beside the normalizer none
    assert len(re.findall(r"no difference shown; english/only", compared)) >= 1


def test_an_older_record_is_scored_by_one_set_of_rules_and_says_so(
    mixed: BenchResult, run_bench: Callable[..., BenchResult]
):
    """A run with another version of its normalizer is read, compared under one profile, and named."""
    older = attrs.evolve(
        mixed,
        manifest=attrs.evolve(
            mixed.manifest,
            run="older",
            normalizer="basic",
            normalizer_version="whisper-normalizer 0.1.12",
            normalizers=(),
        ),
        models=tuple(attrs.evolve(model, normalizer="basic") for model in mixed.models[:1]),
    )
    newer = attrs.evolve(mixed, models=mixed.models[:1])
    found = compare([older, newer], resampling=FEW)

    assert found.wer.normalizer == "by-language"
    assert found.wer.differences[0].difference == 0
    assert [note for note in found.notes if "was recorded with the normalizer" in note] == [
        note for note in found.notes if note.startswith("the run older was recorded with the normalizer basic (")
    ]
    assert any(
        "(whisper-normalizer 0.1.12); here its texts are scored with the present version" in note
        for note in found.notes
    )
    assert len([note for note in found.notes if "scored with the present version" in note]) == 1


def test_the_list_of_runs_scores_again_after_new_rules(
    mixed: BenchResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The index keeps no error rate from other scoring rules."""
    (tmp_path / "run").symlink_to(mixed.run)
    with monkeypatch.context() as patch:
        for module in ("index",):
            patch.setattr(f"asrlab.evaluation.runs.{module}.scoring_version", lambda: "rules of then")
        [then] = list_runs(tmp_path)
    [now] = list_runs(tmp_path)

    assert (then["scored_by"], now["scored_by"]) == ("rules of then", scoring_version())
    assert now["normalizer"] == "by-language"


def test_a_record_reads_back_with_its_languages(mixed: BenchResult):
    """A run that is read from the disk scores as its result did."""
    read = load_run(mixed.run)

    assert [model.score for model in read.models] == [model.score for model in mixed.models]
    assert read.manifest.normalizers == mixed.manifest.normalizers


@pytest.mark.parametrize(
    ("known", "spoken", "remark"),
    [
        (None, ["de"], None),
        ((), ["de"], None),
        (("en",), ["en-GB", "eng", None], None),
        (("en",), ["de", "de-AT", "fr", None], "not made for de, fr"),
        (("no", "tl", "jw", "zh"), ["nb", "fil", "jv", "yue", "cmn"], None),
        (("en",), ["de", "fr", "es", "it", "nl", "pl"], "not made for de, fr, es, it, nl and 1 more"),
    ],
)
def test_languages_that_a_model_was_not_made_for(
    known: tuple[str, ...] | None, spoken: list[str | None], remark: str | None
):
    """Regions, other codes for the same language and unknown languages do not count."""
    found = unsupported_languages(known, spoken)

    assert (found and found.remark) == remark
    assert found is None or found.total == len(spoken)


def test_transcribe_refuses_a_language_before_it_loads(clips: tuple[Path, ...], capsys: pytest.CaptureFixture[str]):
    """A model that was not made for ``--language`` is refused before weights are looked up."""
    with pytest.raises(SystemExit) as ended:
        main(["transcribe", str(clips[0]), "-m", "faster-whisper/tiny.en", "--language", "German"])

    printed = capsys.readouterr().err
    assert ended.value.code == 2
    assert "faster-whisper/tiny.en does not know the language 'de'; it knows en" in printed
    assert "fetching" not in printed


def _printed(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit):
        main(command)
    return " ".join(capsys.readouterr().out.split())
