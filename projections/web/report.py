"""The report: one file of HTML that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from projections.row_types import RunRow
from projections.views import Views
from projections.web import page_queries
from projections.web.page import Page
from projections.web.page_maker import PageMaker
from projections.web.pages import overview, run_page
from projections.web.pages.run_timeline import Timeline, draw_timeline
from projections.web.rendering import render
from tracker.errors import SettingsError

MOST_TIMELINES, MOST_EACH = 20, 3
# A report is smaller, whatever is in the database.
MOST_BYTES = 500_000
_DAYS = 7


class _RunPart(NamedTuple):
    """The timeline of one run."""

    anchor: str
    run: RunRow
    picture: Timeline


def make_report(
    views: Views,
    *,
    since: str | None = None,
    until: str | None = None,
    at: str | None = None,
    tz: str | None = None,
    run: str | None = None,
    source: str | None = None,
    names: Mapping[str, str] | None = None,
) -> bytes:
    """Returns the report of a range, or of one run, as HTML.

    Without `since`, the range is the last seven days or, if no run began in them, the seven days
    that end with the newest run. Raises SettingsError for times that are none, and UnknownRun.
    """
    maker = PageMaker(views, tz=tz, names=names)
    given = {"since": since, "until": until, "at": at}
    params = {name: it for name, it in given.items() if it}
    with maker.open("", params, is_report=True) as page:
        if run is not None:
            return _render_run(page, run, source)
        if since is None:
            _choose_week(page, params)
        return _render(page)


def _render_run(page: Page, run_id: str, source: str | None) -> bytes:
    found = page.answers.run(run_id, source)
    values = run_page.gather(page, found.source, found.run_id)
    return render("run.html", page, values).encode()


def _choose_week(page: Page, params: dict[str, str]) -> None:
    """Sets the range to the seven days that end with the newest run, if it is older than that."""
    with page.answers.connect() as connection:
        newest = page_queries.find_newest(connection)
    if newest is None:
        return
    last = page.time.localize(newest).date()
    if newest < page.time.midnight(page.time.localize(page.now).date() - timedelta(days=_DAYS - 1)):
        params["since"] = str(last - timedelta(days=_DAYS - 1))
        params.setdefault("until", str(last + timedelta(days=1)))


def _render(page: Page) -> bytes:
    most = MOST_TIMELINES
    while True:
        values = overview.gather(page)
        chosen = [] if values["is_empty"] else _choose_runs(values)[:most]
        page.anchors = {run.run_key: f"run-{at}" for at, run in enumerate(chosen, 1)}
        if chosen:
            # Made again, with links to the timelines.
            values["timelines"] = [_draw(page, page.anchors[it.run_key], it) for it in chosen]
        values.setdefault("timelines", [])
        text = render("report.html", page, values).encode()
        if len(text) <= MOST_BYTES:
            return text
        if not most:
            raise SettingsError(
                f"the report would have {len(text):,} bytes: choose a shorter range with --since"
            )
        most //= 2


def _choose_runs(values: Mapping[str, Any]) -> list[RunRow]:
    """Returns the runs that need somebody, and the slowest and the dearest, each once."""
    found: list[RunRow] = []
    for name in ("slowest", "dearest"):
        panel = values.get(name)
        if panel is not None and panel.value is not None:
            found += [it.run for it in panel.value.lines[:MOST_EACH]]
    needs = values["needs"].value
    if needs is not None:
        found += [it.run for it in needs.items]
    return list({it.run_key: it for it in found}.values())


def _draw(page: Page, anchor: str, found: RunRow) -> _RunPart:
    run = page.answers.run(found.run_id, found.source)
    picture = draw_timeline(
        page,
        run,
        page.answers.phases(run.run_id, run.source),
        page.answers.actions(run.run_id, run.source, limit=None),
        page.answers.steps(run.run_id, run.source),
        page.read_events(run.run_key),
    )
    return _RunPart(anchor, run, picture)
