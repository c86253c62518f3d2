"""The language of the code: docstrings that state, and functions that are named by verbs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Shares of all docstrings and of all functions.
MOST_QUESTIONS = 0.02
MOST_PARTICIPLES = 0.03

QUESTION = re.compile(r"(What|Who|Whoever|Whose|Whom|Whether|How|Which|Where|When|Whenever|Why)\b")
# The last word of a name that begins so says what is true, or what happened.
PREDICATE = re.compile(r"_*(is|has|was|wait|on|test)_")
PARTICIPLE = re.compile(
    r".+((?<!e)ed|en)|begun|born|bound|bought|brought|built|caught|done|drawn|felt|found|gone"
    r"|grown|had|held|kept|known|led|left|lost|made|meant|met|paid|put|said|sent|shown|sought"
    r"|spent|taught|thought|told|understood|won|worn"
)
NO_PARTICIPLE = re.compile(
    r"between|children|embed|even|happen|listen|open|reopen|screen|shed|ten|then|token|when"
)

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def walk() -> Iterator[tuple[str, ast.AST]]:
    for package in ("tracker", "projections"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                yield f"{name}:{getattr(node, 'lineno', 1)}", node


def is_participle(function: str) -> bool:
    word = function.strip("_").rpartition("_")[2]
    if PREDICATE.match(function) or NO_PARTICIPLE.fullmatch(word):
        return False
    return PARTICIPLE.fullmatch(word) is not None


def test_few_docstrings_begin_with_a_question_word() -> None:
    documented = ((place, node) for place, node in walk() if isinstance(node, Documented))
    texts = [(place, text) for place, node in documented if (text := ast.get_docstring(node))]
    found = [f"{place} {text.splitlines()[0]}" for place, text in texts if QUESTION.match(text)]
    assert len(found) <= MOST_QUESTIONS * len(texts), "\n".join(found)


def test_few_functions_are_named_by_a_participle() -> None:
    functions = [
        (place, node.name)
        for place, node in walk()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[:2] != "__"
    ]
    found = [f"{place} {name}" for place, name in functions if is_participle(name)]
    assert len(found) <= MOST_PARTICIPLES * len(functions), "\n".join(found)
