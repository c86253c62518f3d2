"""The views of a database, opened and caught up with a progress bar."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from projections import Prices, Views
from tracker.cli.terminal import progress_bar
from tracker.errors import PricesDiffer, SettingsError

_SETTINGS = ("models", "provider", "tiers")


@contextmanager
def open_views(db: str, prices: str | None = None) -> Iterator[Views]:
    """Opens the views of an existing database; creates missing tables.

    `prices` are the settings of the prices: the name of a file of JSON, or JSON.
    """
    with Views(db, prices=read_prices(prices)) as views:
        views.prepare()
        yield views


@contextmanager
def open_current_views(
    db: str, prices: str | None = None, *, quiet: bool = False, needs_costs: bool = False
) -> Iterator[Views]:
    """Opens the views of an existing database, and applies all new events first.

    Where costs are priced with other settings, they are left out with a warning, or PricesDiffer
    is raised with `needs_costs`.
    """
    with open_views(db, prices) as views:
        apply_events(views, quiet=quiet, needs_costs=needs_costs)
        yield views


def apply_events(views: Views, *, quiet: bool = True, needs_costs: bool = False) -> None:
    """Applies all new events, treating other settings as `open_current_views` does."""
    try:
        if quiet:
            views.catch_up()
        else:
            catch_up_with_bar(views)
    except PricesDiffer as error:
        if needs_costs:
            raise
        sys.stderr.write(f"runfold: costs are left out: {error}\n")


def read_prices(given: str | None) -> Prices | None:
    """Returns the prices of some settings; None for none. Raises SettingsError for wrong ones."""
    if given is None:
        return None
    text, place = given, "the settings of the prices"
    if not given.lstrip().startswith("{"):
        place = given
        try:
            text = Path(given).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{given} with the settings of the prices: {error}") from None
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{place}: no JSON: {error}") from None
    if not isinstance(settings, dict) or not settings.keys() <= set(_SETTINGS):
        raise SettingsError(f"{place}: an object of {', '.join(_SETTINGS)} is needed")
    return Prices(**settings)


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
