"""Check the words of the package: how docstrings open, and that identifiers use the glossary's words.

``python tools/prose.py`` prints the share of function docstrings that open with a verb, with What, Whether or How, and
with a pronoun. It exits with 1 if a share misses its limit, or if an identifier contains a word that the glossary
replaces. ``--list`` prints every docstring that does not open with a verb. ``prose.toml`` holds the words.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "asrlab"
WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
VERBS, PRONOUNS, QUESTIONS = (frozenset(WORDS[kind].split()) for kind in ("verbs", "pronouns", "questions"))
NEVER: dict[str, str] = WORDS["never"]
ALLOWED: dict[str, str] = WORDS["allowed"]
MIN_VERBS, MAX_QUESTIONS, MAX_PRONOUNS = 0.90, 0.02, 0.02
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def main(arguments: list[str]) -> int:
    """Print the figures and the offenders, and return 1 if there are any."""
    paths = sorted(SOURCE.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    openings = [opening for path, tree in trees.items() for opening in find_openings(path, tree)]
    kinds = Counter(kind for kind, _ in openings)
    shares = {kind: kinds[kind] / len(openings) for kind in ("verb", "question", "pronoun", "other")}
    print(
        f"{len(openings)} function docstrings: {shares['verb']:.1%} open with a verb, "
        f"{shares['question']:.1%} with What, Whether or How, {shares['pronoun']:.1%} with a pronoun"
    )
    if "--list" in arguments:
        print("\n".join(text for kind, text in openings if kind != "verb"))
    offenders = [offender for path, tree in trees.items() for offender in find_offenders(path, tree)]
    print("\n".join(offenders) or "no identifier uses a word outside the glossary")
    within = shares["verb"] >= MIN_VERBS and shares["question"] <= MAX_QUESTIONS and shares["pronoun"] <= MAX_PRONOUNS
    return 0 if within and not offenders else 1


def find_openings(path: Path, tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the kind of each function docstring's first word, with the place and the line.

    Properties are left out: they read as attributes, and open with a noun.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_property(node):
            continue
        if docstring := ast.get_docstring(node):
            first = docstring.splitlines()[0]
            yield opening_kind(first), f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}: {first}"


def is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function is a property."""
    return any(ast.unparse(decorator).endswith("property") for decorator in node.decorator_list)


def opening_kind(line: str) -> str:
    """Return ``verb``, ``question``, ``pronoun`` or ``other`` for the first word of *line*."""
    match = re.match(r"[A-Za-z]+", line)
    word = match[0].lower() if match else ""
    if word in QUESTIONS:
        return "question"
    if word in PRONOUNS:
        return "pronoun"
    return "verb" if word in VERBS else "other"


def find_offenders(path: Path, tree: ast.AST) -> Iterator[str]:
    """Yield each identifier of *tree* that contains a word of `NEVER`, with the word to use."""
    for node in ast.walk(tree):
        for name in defined_names(node):
            for word in {part.lower() for part in PART.findall(name)} & NEVER.keys():
                if name not in ALLOWED:
                    line = getattr(node, "lineno", 0)
                    yield f"{path.relative_to(ROOT)}:{line}: {name}: write {NEVER[word]} instead of {word}"


def defined_names(node: ast.AST) -> tuple[str, ...]:
    """Return the names that *node* defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
            return (name,)
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return (name,)
        case _:
            return ()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
