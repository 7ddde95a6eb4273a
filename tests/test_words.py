"""Plain English: what a machine can check of the words in docstrings and messages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skatom"
CONVENTIONS = ROOT / "docs" / "explanation" / "conventions.md"
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
# A word, maybe quoted or with a hyphen; of single letters only the article.
WORD = re.compile(r"""["'`(]*(A|[A-Z][A-Za-z0-9'-]+|``\w.*)["'`),:;.]*""")
# What a message may not say, since the glossary has another word.
WORDS_OF_OTHERS = ("frame", "configuration", "atom type", "fingerprint vector")


def docstrings() -> Iterator[tuple[str, ast.AST, str]]:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, documented) and (text := ast.get_docstring(node)):
                name = getattr(node, "name", "the module")
                yield f"{path.relative_to(PACKAGE)}: {name}", node, text


def messages() -> Iterator[tuple[str, str]]:
    """Texts of errors and warnings, without what is put in."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            warns = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                "warn"
            )
            if isinstance(node, ast.Raise) or warns:
                parts = [
                    part.value
                    for part in ast.walk(node)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                ]
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", " ".join(parts)


def test_docstrings_begin_with_a_word():
    symbols = [
        f"{where} begins {text.splitlines()[0]!r}"
        for where, _, text in docstrings()
        if not WORD.fullmatch(text.split()[0])
    ]
    assert not symbols, "\n".join(symbols)


def test_modules_are_named_not_described_by_what():
    what = [
        where
        for where, node, text in docstrings()
        if isinstance(node, ast.Module) and text.startswith("What ")
    ]
    assert not what, "\n".join(what)


def test_messages_use_the_words_of_the_glossary():
    others = re.compile(rf"(?<![\[\w])({'|'.join(WORDS_OF_OTHERS)})\b(?!\[)")
    found = [
        f"{where} says {match[0]!r}: {text[:80]}"
        for where, text in messages()
        if (match := others.search(text))
    ]
    assert not found, "\n".join(found)


def test_the_glossary_has_every_word_once():
    table = CONVENTIONS.read_text().split("## Glossary")[1]
    words = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]*\|$", table, re.MULTILINE)[1:]
    assert len(words) > 15
    assert len(words) == len(set(words))
