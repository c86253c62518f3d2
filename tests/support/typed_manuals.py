"""The Python of the README and the manuals as modules, for type checkers.

`python -m tests.support.typed_manuals FOLDER` writes a module for each manual: its blocks in one
coroutine function, with the names that `manual_sessions` gives them.
"""

import sys
import textwrap
from pathlib import Path

from tests.support.manual_sessions import is_excerpt
from tests.support.manuals import DOCUMENTS, Manual

_HEAD = """from __future__ import annotations

import uuid
from typing import Any

from openai import AsyncOpenAI

from projections import Views
from tracker import Tracker
from tracker.sources import Assistants

BASE_URL: str = ""
API_KEY: str = ""


async def follow_the_manual(
    api: Assistants, tracker: Tracker, views: Views, client: AsyncOpenAI, payload: dict[str, Any]
) -> None:
"""


def write_module(manual: Manual) -> str:
    """Returns the module of a manual; empty without blocks of Python."""
    blocks = [it.text for it in manual.blocks_of("python") if not is_excerpt(it)]
    text = "\n".join(blocks).replace("asyncio.run(main())", "await main()")
    return _HEAD + textwrap.indent(text, "    ") if blocks else ""


def main(folder: Path) -> None:
    """Writes the modules of all manuals into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for manual in DOCUMENTS:
        if text := write_module(manual):
            name = manual.name.removesuffix(".md").replace("/", "_").replace(".", "").lower()
            (folder / f"{name}.py").write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
