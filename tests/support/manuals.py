"""The README and the manuals beside the packages, with their blocks, tables and links."""

import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.paths import ROOT

FOLDERS = ("tracker", "projections", "tests")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\|.*\|$")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line of the manual that it begins at."""

    language: str
    text: str
    line: int


class Manual:
    """One document in Markdown."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text("utf-8")

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def blocks(self) -> list[Block]:
        """Returns all fenced blocks."""
        return [
            Block(found[1], found[2], self.text.count("\n", 0, found.start()) + 2)
            for found in _BLOCK.finditer(self.text)
        ]

    def blocks_of(self, language: str) -> list[Block]:
        """Returns the fenced blocks of a language."""
        return [block for block in self.blocks if block.language == language]

    @cached_property
    def prose(self) -> str:
        """Returns the text without its fenced blocks."""
        return _BLOCK.sub("", self.text)

    @cached_property
    def codes(self) -> list[str]:
        """Returns the texts between backticks."""
        return re.findall(r"`([^`\n]+)`", self.prose)

    @cached_property
    def links(self) -> list[str]:
        """Returns the targets of all links."""
        return re.findall(r"\]\(([^)\s]+)\)", self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """Returns the names of the headings in links."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
        return {heading.replace(" ", "-") for heading in plain}

    @cached_property
    def tables(self) -> dict[str, list[list[str]]]:
        """Returns the rows of each table, as cells, by the line of its heading."""
        tables: dict[str, list[list[str]]] = {}
        heading = None
        for line in self.prose.splitlines():
            if not _ROW.match(line):
                heading = None
            elif heading is None:
                heading = line
                tables[heading] = []
            elif not set(line) <= set("|-: "):
                tables[heading].append([cell.strip() for cell in line[1:-1].split("|")])
        return tables


def code_texts(cell: str) -> list[str]:
    """Returns the texts in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


README = Manual(ROOT / "README.md")
MANUALS = [
    Manual(path) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("README.md"))
]
GUIDES = [Manual(ROOT / ".github" / name) for name in ("CONTRIBUTING.md", "SECURITY.md")]
DOCUMENTS = [README, *MANUALS, *GUIDES]
