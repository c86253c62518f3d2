"""A terminal for a command: what stands on its screen, and what it ends with."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.support.command_line import environment
from tests.support.waiting import block_until


class Shown(NamedTuple):
    """The lines of a screen, and the exit code of the command that drew them."""

    lines: list[str]
    code: int


def show(
    *arguments: object,
    folder: Path,
    until: Callable[[list[str]], bool],
    leave: Callable[[subprocess.Popen[bytes], int], object],
    columns: int = 80,
    rows: int = 24,
) -> Shown:
    """Runs a command of runfold in a terminal of a size, until its screen is as it should be.

    `leave` then gets the process and the number of the file that is its keyboard, and ends it.
    """
    import pyte

    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (rows, columns))
    process = subprocess.Popen(
        [sys.executable, "-m", "tracker.cli", *(str(it) for it in arguments)],
        cwd=folder,
        env={**environment(), "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)

    def read() -> list[str]:
        if select.select([ours], [], [], 0.05)[0]:
            try:
                stream.feed(os.read(ours, 65_536))
            except OSError:
                # The other end is closed.
                assert until(list(screen.display)), "\n".join(screen.display)
        return list(screen.display)

    try:
        block_until(lambda: until(read()))
        lines = list(screen.display)
        leave(process, ours)
        block_until(lambda: _drain(ours) and process.poll() is not None)
        return Shown(lines, process.returncode)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _drain(number: int) -> bool:
    """Reads what is there, so that nobody waits for a full pipe; true always."""
    if select.select([number], [], [], 0)[0]:
        with suppress(OSError):
            os.read(number, 65_536)
    return True
