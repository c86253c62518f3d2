"""How the commands write: plain where nobody looks, and never what a service smuggled in."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress, ProgressColumn
from rich.table import Table

UNKNOWN = "–"
# Wide enough for any row: a pipe or a file has no edge to wrap at.
_NO_EDGE = 100_000
_RULE = 80


def console() -> Console:
    """The standard output: a terminal, or plain text of any width where there is none."""
    return _console(stderr=False)


def messages() -> Console:
    """The standard error: for what is not the answer."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        width=None if stream.isatty() else _NO_EDGE,
        force_terminal=None if stream.isatty() else False,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


def table(title: str | None = None) -> Table:
    """An empty table in the style of all of them, which leaves room for the columns."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def show(shown: Table) -> None:
    """Prints a table, its values whole: where it is too wide the terminal breaks the lines.

    Without a terminal, lines end where their text ends, and not in spaces.
    """
    out = console()
    if out.is_terminal:
        needed = Measurement.get(out, out.options.update(width=_NO_EDGE), shown).minimum
        out.width = max(needed, out.width)
        out.print(shown)
        return
    with out.capture() as drawn:
        out.print(shown)
    for line in drawn.get().splitlines():
        # The rule below the headings need not be as long as the longest row.
        out.print(line.rstrip() if line.strip("─") else line[:_RULE])


@contextmanager
def bar(*columns: ProgressColumn | str) -> Iterator[Progress]:
    """A progress bar on the standard error; silent, and no blank line, without a terminal."""
    err = messages()
    progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    try:
        yield progress
    finally:
        progress.stop()


def visible(text: str) -> str:
    """The text with what would steer a terminal spelled out."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def hush() -> None:
    """Keeps warnings of the log off the terminal, for a command that reports them itself."""
    logging.getLogger("runfold").addHandler(logging.NullHandler())
