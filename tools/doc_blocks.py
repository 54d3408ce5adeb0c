"""Code blocks of the documentation: how each is run, and why some are not. Run this file for a table.

A block in a language of `RUN` is run, in a folder of its page's own. `console` has `$ commands`, and the output under
one, if there is any, must be what comes, with `...` for what varies. A block that cannot run here has a comment before
it, `<!-- not run: it needs a Mac -->`. Data is parsed where there is a parser. Files that a page's commands work on are
named in a comment, too, `<!-- given: recordings talk.mp3 -->`: see `GIVEN`. A page that begins with
`<!-- run by: tests/FILE.py -->` is run by that test instead.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from unittest import SkipTest

import attrs
from markdown_it import MarkdownIt
from sybil import Document, Example, Lexeme, Region
from sybil.evaluators.python import PythonEvaluator

ROOT = Path(__file__).resolve().parent.parent
PATTERNS = ("README.md", "CHANGELOG.md", "docs/*.md", "docs/*/*.md")  # of pages
SHOWN = ("text", "markdown")  # neither code nor in a form that can be checked
_COMMENT = re.compile(r"<!--\s*(not run|given|run by):\s*(.*?)\s*-->", re.DOTALL)
_TIME_LIMIT = 250  # seconds that a script may take; pytest stops a test after 300
_CODE_IN_TEXT = re.compile(r"^\s*(\$ |>>> |import |from \w+ import |with |pip |python3? |asrlab )", re.MULTILINE)


@attrs.frozen(kw_only=True)
class Block:
    """A code block, or a comment about blocks.

    Attributes:
        language: Text after the fence; empty for an indented block; `given` for such a comment.
        code: Content of the block.
        lines: First line and the line after the last, counted from 0.
        reason: Reason why the block is not run; None if not stated.
        test: The file of the test that runs it; empty for those that are run from here.
    """

    language: str
    code: str
    lines: tuple[int, int]
    reason: str | None = None
    test: str = ""

    @property
    def kind(self) -> str:
        """`run`, `run by a test`, `parsed`, `shown`, `not run`, `given`, `sphinx`; `unmarked` is a fault."""
        if self.language == "given":
            return "given"
        if self.reason is not None:
            return "not run" if self.reason and self.language in RUN else "unmarked"
        if self.language.startswith("{"):
            return "unmarked" if "code" in self.language or "literal" in self.language else "sphinx"
        if self.language in SHOWN:
            return "unmarked" if self.language == "text" and _CODE_IN_TEXT.search(self.code) else "shown"
        if self.test and self.language in RUN:
            return "run by a test"
        return "run" if self.language in RUN else "parsed" if self.language in PARSED else "unmarked"


def find_blocks(text: str) -> Iterator[Block]:
    """Return all blocks of a page, in order."""
    reason, test = None, ""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        lines = tuple(token.map or (0, 0))
        if token.type in ("fence", "code_block"):
            language = token.info.split()[0] if token.info.strip() else ""
            yield Block(language=language, code=token.content, lines=(lines[0], lines[1]), reason=reason, test=test)
            reason = None
        elif token.type == "html_block":
            for kind, said in _COMMENT.findall(token.content):
                if kind == "given":
                    yield Block(language="given", code=said, lines=(lines[0], lines[1]))
                elif kind == "run by":
                    test = said
                else:
                    reason = said
        elif reason is not None:
            raise ValueError(f"line {lines[0]}: 'not run: {reason}' stands before no block")


def parse_blocks(document: Document) -> Iterable[Region]:
    """Parse a page for Sybil into one region for each block that is not for Sphinx."""
    starts = [0, *(match.end() for match in re.finditer("\n", document.text)), len(document.text)]
    for block in find_blocks(document.text):
        if block.kind == "sphinx":
            continue
        start, end = (starts[min(line, len(starts) - 1)] for line in block.lines)
        parsed = Lexeme(block.code, offset=0, line_offset=0) if block.language == "python" else block
        yield Region(start, end, parsed, _evaluator(block))


def _evaluator(block: Block) -> Callable[[Example], str | None]:
    if block.kind == "not run":
        return _skipped(f"not run: {block.reason}")
    if block.kind == "run by a test":
        return _skipped(f"run by {block.test}")
    if block.kind == "given":
        return _give
    if block.kind == "run":
        return RUN[block.language]
    return _checked


def _skipped(why: str) -> Callable[[Example], str | None]:
    def skip(example: Example) -> str | None:  # noqa: ARG001 - Sybil calls it so
        raise SkipTest(why)

    return skip


def _checked(example: Example) -> str | None:
    block: Block = example.parsed
    if block.kind == "shown":
        return None
    if block.kind == "unmarked":
        return (
            f"a block of {block.language or 'no language'!r} is neither run nor marked; run it as one of "
            f"{', '.join(RUN)}, or say why not before it: <!-- not run: REASON -->"
        )
    PARSED[block.language](block.code)
    return None


def run_script(example: Example) -> str | None:
    """Run a block of `sh` as one script, which stops at the first failing command."""
    status, output = run_command(example.parsed.code, example.namespace["page_folder"])
    return f"exit code {status}:\n{output}" if status else None


def run_console(example: Example) -> str | None:
    """Run each command of a `console` block, and compare the output with the shown output."""
    for command, wanted in commands_of(example.parsed.code):
        status, output = run_command(command, example.namespace["page_folder"])
        if status:
            return f"$ {command}\nexit code {status}:\n{output}"
        if wanted and not matches(wanted, output):
            return f"$ {command}\nthe page shows:\n{wanted}\nit gave:\n{output}"
    return None


def commands_of(code: str) -> list[tuple[str, str]]:
    """Return the commands of a `console` block, each with the shown output."""
    found: list[tuple[list[str], list[str]]] = []
    for line in code.splitlines():
        if line.startswith("$ "):
            found.append(([line.removeprefix("$ ")], []))
        elif not found:
            raise ValueError(f"a console begins with a command, '$ ...', not with {line!r}")
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line.removeprefix("> "))
        else:
            found[-1][1].append(line)
    return [("\n".join(command), "\n".join(output).strip("\n")) for command, output in found]


def matches(wanted: str, output: str) -> bool:
    """Return whether *output* matches *wanted*, where `...` matches anything and trailing white space is ignored."""
    wanted, output = ("\n".join(line.rstrip() for line in text.strip("\n").splitlines()) for text in (wanted, output))
    return re.fullmatch(".*?".join(map(re.escape, wanted.split("..."))), output, re.DOTALL) is not None


def run_command(script: str, folder: Path) -> tuple[int, str]:
    """Run a script in *folder* and return its exit code and its output with errors."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=_TIME_LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return 124, f"{error.output}\nit was stopped after {_TIME_LIMIT} s"
    return done.returncode, done.stdout


def _give(example: Example) -> None:
    for name in example.parsed.code.split():
        GIVEN[name](example.namespace["page_folder"])


def _clips() -> list[tuple[Path, str]]:
    from asrlab.evaluation import load_dataset

    return [(Path(str(utterance.audio)), utterance.text or "") for utterance in load_dataset("smoke")]


def _give_recordings(page: Path) -> None:
    folder = page / "recordings"
    folder.mkdir()
    for number, (clip, text) in enumerate(_clips()[:3], 1):
        shutil.copy(clip, folder / f"talk-{number}.flac")
        (folder / f"talk-{number}.txt").write_text(text + "\n", encoding="utf-8")


def _give_mp3(page: Path) -> None:
    import soundfile

    samples, rate = soundfile.read(_clips()[0][0])
    soundfile.write(page / "talk.mp3", samples, rate, format="MP3")


def _give_documents(page: Path) -> None:
    for name in ("README.md", "docs", "evidence", "locks"):
        copy: Callable[[Path, Path], object] = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, page / name)


RUN: dict[str, Callable[[Example], str | None]] = {
    "python": PythonEvaluator(),
    "sh": run_script,
    "console": run_console,
}
PARSED: dict[str, Callable[[str], object]] = {
    "toml": tomllib.loads,
    "json": json.loads,
}
GIVEN: dict[str, Callable[[Path], None]] = {
    "recordings": _give_recordings,
    "talk.mp3": _give_mp3,
    "documents": _give_documents,
}


def find_pages() -> list[Path]:
    """Return every page of the documentation."""
    return [page for pattern in PATTERNS for page in sorted(ROOT.glob(pattern))]


def main() -> int:
    """Print the number of blocks of each kind, and each block that is not run; return 1 if one is unmarked."""
    kinds: Counter[str] = Counter()
    for page in find_pages():
        for block in find_blocks(page.read_text(encoding="utf-8")):
            kinds[block.kind] += 1
            if block.kind in ("not run", "unmarked"):
                print(f"{page.relative_to(ROOT)}:{block.lines[0] + 1}: {block.kind}: {block.reason or block.language}")
    print(", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())))
    return int(kinds["unmarked"] > 0)


if __name__ == "__main__":
    sys.exit(main())
