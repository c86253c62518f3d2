"""Questions to tables with an odd document in them, within seconds, and their right answers."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.support.command_line import Finished, runfold
from tests.support.odd_documents import check_import

SECONDS = 60.0


def ask(command: str, url: str) -> Finished:
    """Runs a command on a database; it has to succeed within a minute."""
    began = perf_counter()
    done = runfold(*shlex.split(command), "--db", url)
    taken = perf_counter() - began
    assert done.code == 0, (command, done.out, done.err)
    assert taken < SECONDS, (command, taken)
    return done


def check_questions(case: Mapping[str, Any], url: str, folder: Path) -> None:
    """Imports a case beside good runs, then asks its questions."""
    check_import(case, url, folder)
    for question in case["expect"].get("ask", ()):
        asked: Mapping[str, Any] = {"run": question} if isinstance(question, str) else question
        answer = ask(asked["run"], url).out
        for text in asked.get("contains", ()):
            assert text in answer, (asked["run"], answer)
        for text in asked.get("lacks", ()):
            assert text not in answer, (asked["run"], answer)
