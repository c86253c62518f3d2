"""Terminal output: plain when not a TTY; control characters from services are escaped."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.text import Text

UNKNOWN = "–"
# Wide enough for any row, since pipes and files do not wrap lines.
_UNLIMITED = 100_000

SetStatus = Callable[[str], None]


def stdout_console() -> Console:
    """Returns a console for answers, on stdout."""
    return _make_console(stderr=False)


def stderr_console() -> Console:
    """Returns a console for progress and warnings, on stderr."""
    return _make_console(stderr=True)


def _make_console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        width=None if stream.isatty() else _UNLIMITED,
        force_terminal=None if stream.isatty() else False,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


@contextmanager
def progress_bar(*columns: ProgressColumn | str) -> Iterator[Progress]:
    """Shows a progress bar on stderr once it is started; prints nothing without a terminal."""
    err = stderr_console()
    progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    try:
        yield progress
    finally:
        progress.stop()


@contextmanager
def spinner(subject: str) -> Iterator[SetStatus]:
    """Shows a spinner with the status of a subject; prints nothing without a terminal."""
    err = stderr_console()
    if not err.is_terminal:
        yield lambda status: None
        return

    def make_line(status: str) -> Text:
        return Text(escape_controls(f"{subject}: {status}"))

    with err.status(make_line("requesting …")) as spinning:
        yield lambda status: spinning.update(make_line(status))


@contextmanager
def status_lines(subject: str) -> Iterator[SetStatus]:
    """Shows a spinner with the status of a subject; without a terminal, a line for each status."""
    err = stderr_console()
    if err.is_terminal:
        with spinner(subject) as set_status:
            yield set_status
        return
    yield lambda status: err.print(Text(escape_controls(f"{subject}: {status}")))


def escape_controls(text: str) -> str:
    """Escapes characters that are not printable, such as those that control a terminal."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def silence_log() -> None:
    """Keeps log warnings off stderr, for a command that reports problems by itself."""
    logging.getLogger("runfold").addHandler(logging.NullHandler())
