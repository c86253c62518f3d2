"""The views of a database, opened and caught up with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from projections import Views
from tracker.cli.terminal import progress_bar


@contextmanager
def open_views(db: str) -> Iterator[Views]:
    """Opens the views of an existing database; creates missing tables."""
    with Views(db) as views:
        views.prepare()
        yield views


@contextmanager
def open_current_views(db: str, *, quiet: bool = False) -> Iterator[Views]:
    """Opens the views of an existing database, and applies all new events first."""
    with open_views(db) as views:
        if quiet:
            views.catch_up()
        else:
            catch_up_with_bar(views)
        yield views


def catch_up_with_bar(views: Views) -> int:
    """Applies all new events behind a progress bar. Returns their number."""
    with position_bar("catching up") as show_position:
        return views.catch_up(show_position)


@contextmanager
def position_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Shows a progress bar; the yielded function takes the current and the last position."""
    with progress_bar(TextColumn(label), BarColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=None)

        def show_position(position: int, last: int) -> None:
            if position < last:
                progress.start()
            progress.update(task, completed=position, total=last)

        yield show_position
