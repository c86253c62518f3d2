"""`runfold top`: the runs in the terminal, refreshed every two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from tracker.cli.options import DEFAULT_DB, Db, PriceSettings, Tz

_EVERY_SECONDS = 2.0


def top(
    once: Annotated[bool, typer.Option("--once", help="Print once, and leave.")] = False,
    tz: Tz = "UTC",
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Watch the runs in the terminal: what waits, what is open, what ended last.

    `q` leaves. Without a terminal, it prints once. Needs `pip install 'runfold[dashboard]'`.
    """
    from tracker.cli.dashboard.report import require_dashboard
    from tracker.cli.dashboard.serve import read_sources
    from tracker.cli.terminal import stdout_console
    from tracker.cli.views import apply_events, open_views

    require_dashboard()
    from projections.web.terminal_page import make_lines

    out = stdout_console()
    with open_views(db, prices) as views:

        def draw(width: int, height: int) -> list[str]:
            apply_events(views)
            return make_lines(views, read_sources(db), width, height, tz=tz)

        if once or not out.is_terminal:
            for line in draw(out.width if out.is_terminal else 80, 24):
                out.print(line, no_wrap=True, crop=False)
            return
        _show(draw)


def _show(draw: Callable[[int, int], list[str]]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    with (
        _raw_keys() as read_key,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while True:
            lines = draw(console.width, console.height)
            live.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)
            deadline = time.monotonic() + _EVERY_SECONDS
            while (left := deadline - time.monotonic()) > 0:
                if read_key(min(left, 0.2)) in ("q", "Q"):
                    return


@contextmanager
def _raw_keys() -> Iterator[Callable[[float], str]]:
    """Yields a function that waits for a key, and returns an empty text if none is pressed."""
    try:
        import select
        import termios
        import tty
    except ImportError:
        # Windows: Ctrl-C leaves.
        def pause(seconds: float) -> str:
            time.sleep(seconds)
            return ""

        yield pause
        return
    if not sys.stdin.isatty():

        def wait(seconds: float) -> str:
            time.sleep(seconds)
            return ""

        yield wait
        return
    number = sys.stdin.fileno()
    before: Any = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)

        def read_key(seconds: float) -> str:
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            return sys.stdin.read(1) if ready else ""

        yield read_key
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
