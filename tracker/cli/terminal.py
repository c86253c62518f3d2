"""Terminal output: plain when not a TTY; control characters from services are escaped."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.table import Column, Table
from rich.text import Text

UNKNOWN = "–"
# Wide enough for any row, since pipes and files do not wrap lines.
_UNLIMITED = 100_000
_RULE_WIDTH = 80
# The width that a column with longer words may be folded to.
_NARROWEST = 12

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


def make_table(title: str | None = None) -> Table:
    """Returns an empty table in the style of all commands."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def print_table(table: Table) -> None:
    """Prints a table without shortening values; a terminal wraps lines that are too wide.

    Without a terminal, lines have no trailing spaces.
    """
    out = stdout_console()
    if out.is_terminal:
        # The terminal is not wide enough for some tables; rich would shorten their values.
        gaps = 2 * (len(table.columns) - 1)
        out.width = max(gaps + sum(map(_measure_column, table.columns)), out.width)
        out.print(table)
        return
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        # The rule below the headings need not be as long as the longest row.
        out.print(line.rstrip() if line.strip("─") else line[:_RULE_WIDTH])


def _measure_column(column: Column) -> int:
    """Returns the width that a column needs at least, in cells of the terminal."""
    texts = [str(cell) for cell in (column.header, *column.cells)]
    if column.no_wrap:
        return max(map(cell_len, texts))
    return min(_NARROWEST, max(cell_len(word) for text in texts for word in text.split() or [""]))


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
