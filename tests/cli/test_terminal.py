"""Output of the commands on a terminal of eighty columns."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import environment, run_body, runfold, write_lines

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

import fcntl
import pty
import termios

pytestmark = pytest.mark.integration

COLUMNS = 80
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of runs with long names and long arguments."""
    folder = tmp_path_factory.mktemp("terminal")
    arguments = '{"order_number": "A-10377", "with_items": true, "currency": "EUR"}'
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    tokens = {"prompt_tokens": 1_234_567, "completion_tokens": 98_765, "total_tokens": 1_333_332}
    bodies = [
        run_body(f"run_{number:024}", status, model="gpt-4.1-mini", required_action=action)
        for number in range(20)
        for status in ("queued", "requires_action")
    ]
    ends = [
        run_body(f"run_{number:024}", model="gpt-4.1-mini", usage=tokens) for number in range(20)
    ]
    url = f"sqlite:///{folder}/runs.db"
    file = write_lines(folder / "runs.jsonl", *bodies, *ends)
    assert runfold("import", file, "--db", url).code == 0
    return url


def run_in_terminal(*arguments: str) -> str:
    """Returns the output of a command on a terminal, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "tracker.cli", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment(), "TERM": "xterm-256color"},
    )
    os.close(theirs)
    read = b""
    while part := _read(ours):
        read += part
    os.close(ours)
    assert process.wait() == 0, read
    return ESCAPES.sub("", read.decode()).replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # Linux raises this at the end of a terminal; other systems return b"".
        return b""


@pytest.mark.parametrize("question", ["status", "timing", "usage"])
def test_a_table_fits_and_is_as_in_a_pipe(database: str, question: str) -> None:
    piped = runfold(question, "--db", database).out
    shown = run_in_terminal(question, "--db", database)
    assert max(map(len, shown.splitlines())) <= COLUMNS
    # Only headings of two words may be wrapped.
    assert shown.rstrip().splitlines()[-1].split() == piped.rstrip().splitlines()[-1].split()
    if question != "usage":
        assert [line.rstrip() for line in shown.splitlines()] == piped.splitlines()


def test_a_table_that_does_not_fit_loses_nothing(database: str) -> None:
    by = "source,thread_id,assistant_id,model,status,outcome"
    shown = run_in_terminal("usage", "--by", by, "--db", database)
    piped = runfold("usage", "--by", by, "--db", database).out
    *rows, note, _ = shown.splitlines()
    # Columns that have no room are named, and the others are whole.
    assert note.startswith("no room for: ")
    assert note.endswith("; a wider terminal or --json shows all")
    left_out = note.split(":")[1].split(";")[0].split(",")
    headings = [" ".join(it.split()) for it in piped.splitlines()[1].split("  ") if it.strip()]
    assert {it.strip() for it in left_out} < set(headings)
    assert max(map(len, rows)) <= COLUMNS
    assert rows[-1].split() == piped.split()[-len(headings) :][: len(rows[-1].split())]
    assert "…" not in shown


def test_a_history_fits(database: str) -> None:
    lines = run_in_terminal("history", f"run_{0:024}", "--db", database).splitlines()
    assert max(len(line) for line in lines[1:]) <= COLUMNS
    text = " ".join(" ".join(lines).split())
    for words in (
        "queued → in_progress",
        "from in_progress",
        "RunActionRequired",
        '"order_number": "A-10377"',
    ):
        assert words in text


def test_a_bar_leaves_nothing_behind(database: str, tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/runs.db"
    file = write_lines(tmp_path / "runs.jsonl", run_body("run_1"))
    shown = run_in_terminal("import", str(file), "--db", db)
    assert (
        shown.rstrip().splitlines()[-1].endswith("1 snapshots imported, 3 new events, 1 new runs")
    )
