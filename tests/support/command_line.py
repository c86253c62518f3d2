"""Calls of `runfold`, in this process or in a new one."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from tests.support.secret_search import MARK
from tracker.cli import main

SECONDS = 300
_NEVER = ("Traceback", "\x1b[", MARK)


@dataclass(frozen=True)
class Finished:
    """Result of a command: its exit code and its output."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        for text in _NEVER:
            assert text not in self.out + self.err, f"{text!r} in {self.out}{self.err}"

    @property
    def document(self) -> Any:
        """Returns the JSON on the standard output."""
        return json.loads(self.out)

    @property
    def message(self) -> str:
        """Returns the only line of the standard error, without the name of the program."""
        [line] = self.err.splitlines()
        assert line.startswith("runfold: ")
        return line.removeprefix("runfold: ")


def runfold(*arguments: object) -> Finished:
    """Runs a command in this process, in the current folder."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = exit_.code or 0
    assert isinstance(code, int)
    return Finished(code, out.getvalue(), err.getvalue())


def start(
    *arguments: object, folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Starts a command as a process in a folder; `env` adds to the environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "tracker.cli", *(str(argument) for argument in arguments)],
        cwd=folder,
        env={**environment(), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def environment() -> dict[str, str]:
    """Returns this process's environment with the code on its path and no settings of runfold."""
    ours = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    root = str(ROOT)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return {**ours, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}


def finish(process: subprocess.Popen[str]) -> Finished:
    """Waits for a process to end."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
    return Finished(process.returncode, out, err)


def _is_setting(name: str) -> bool:
    return name.startswith(("OPENAI_", "RUNFOLD_")) or name in ("COLUMNS", "FORCE_COLOR")


def run_body(run_id: str = "run_1", status: str = "completed", **more: Any) -> dict[str, Any]:
    """Returns a run as the Assistants API shows it."""
    usage = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
    return {
        "id": run_id,
        "object": "thread.run",
        "thread_id": "thread_1",
        "assistant_id": "asst_1",
        "model": "gpt-4o",
        "status": status,
        "created_at": 1_750_000_000,
        "started_at": None if status == "queued" else 1_750_000_002,
        "completed_at": 1_750_000_012 if status == "completed" else None,
        "expires_at": 1_750_000_600,
        "usage": usage if status == "completed" else None,
        **more,
    }


def write_lines(file: Path, *lines: object) -> Path:
    """Writes a file to import, one line for each object; text and bytes are written as they are."""
    file.write_bytes(b"".join(_encode_line(line) + b"\n" for line in lines))
    return file


def _encode_line(line: object) -> bytes:
    if isinstance(line, bytes):
        return line
    return (line if isinstance(line, str) else json.dumps(line)).encode()


def run_script(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a folder, with warnings as errors."""
    file = folder / "script.py"
    file.write_text(program, "utf-8")
    return subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
