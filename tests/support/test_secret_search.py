"""The search for keys: each way in which a key may leak fails its test."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.secret_search import MARK

LEAKS = """
import logging, sqlite3, sys
import pytest
from tracker.errors import NotFound, PollAgain, WaitTimeout

KEY = "sk-{mark}"
log = logging.getLogger("runfold.polling")

def test_clean(tmp_path):
    log.debug("nothing %s", "here", extra={{"run": "run_1"}})
    print("nothing here")
    (tmp_path / "settings").write_text(KEY)

def test_message(): log.debug("with " + KEY)
def test_argument(): log.info("with %s", KEY)
def test_field(): log.debug("x", extra={{"run": [KEY]}})
def test_cause():
    try:
        raise ValueError(KEY)
    except ValueError:
        log.debug("x", exc_info=True)
def test_error():
    with pytest.raises(NotFound):
        raise NotFound("not with " + KEY)
def test_error_that_nobody_raised(): PollAgain(KEY, retry_after=1.0), WaitTimeout("x")
def test_out(): print(KEY)
def test_err(): sys.stderr.write(KEY)
def test_database(tmp_path):
    connection = sqlite3.connect(tmp_path / "runs.db")
    connection.execute("CREATE TABLE events (body BLOB)")
    connection.execute("INSERT INTO events VALUES (?)", (KEY.encode(),))
    connection.commit()
    connection.close()
"""


def test_a_key_that_gets_out_fails_its_test(tmp_path: Path) -> None:
    file = tmp_path / "test_leaks.py"
    file.write_text(LEAKS.format(mark=MARK))
    options = [
        "-p",
        "tests.support.secret_search",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "-v",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={tmp_path}", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    # What a test left in files is known when it is over: that one passes, and errs.
    assert "8 failed, 2 passed, 1 error" in done.stdout, done.stdout
    assert "test_clean PASSED" in done.stdout
    for where in (
        "a log record of runfold.polling",
        "a NotFound",
        "a PollAgain",
        "Captured stdout call",
        "Captured stderr call",
        "the database runs.db",
    ):
        assert f"a key can be read in: {where}\n" in done.stdout


def test_all_keys_of_tests_are_searched_for() -> None:
    for file in (ROOT / "tests").rglob("*.py"):
        if "benchmarks" in file.parts:
            continue
        for call in ast.walk(ast.parse(file.read_text())):
            match call:
                case ast.keyword(arg="api_key", value=ast.Constant(value=str(key), lineno=line)):
                    assert MARK in key, f"{file.name}, line {line}: a key without the mark"
