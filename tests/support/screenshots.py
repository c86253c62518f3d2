"""Pictures of every page, narrow and wide, light and dark: `python -m tests.support.screenshots`.

They are written to a folder, `dashboard-screenshots` or the one that is given.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from projections import Views
from projections.web.app import Dashboard
from projections.web.page_maker import PageMaker
from projections.web.report import make_report
from tests.support.browser import open_browser, serving
from tests.support.shown_sources import list_reports
from tests.support.shown_week import NOW, SOURCE, fill_week

WIDTHS = (390, 1200)
ZONE = "Europe/Berlin"


def list_pages(views: Views) -> dict[str, str]:
    """Returns the paths of the pages by the names of their pictures."""
    waiting = views.runs(status="requires_action")[-1].run_id
    longest = max(views.runs(assistant_id="asst_research"), key=lambda it: it.total_seconds or 0)
    return {
        "overview": "",
        "overview-24h": "?since=24h",
        "overview-28d": "?since=28d",
        "overview-past": "?at=2026-11-24T15:10",
        "runs": "runs",
        "runs-none": "runs?outcome=failed&model=gpt-9",
        "run": f"runs/{SOURCE}/run_shown00000000000?event=4",
        "run-waiting": f"runs/{SOURCE}/{waiting}",
        "run-long": f"runs/{SOURCE}/{longest.run_id}",
        "thread": f"threads/{SOURCE}/thread_shown0000000000000",
        "compare": "compare",
        "health": "health",
    }


def take(url: str, folder: Path, names: list[str] | None = None) -> None:
    """Writes the pictures of a database of `fill_week`."""
    folder.mkdir(parents=True, exist_ok=True)
    with Views(url) as views, open_browser() as browser:
        report = folder / "report.html"
        report.write_bytes(make_report(views, until="2026-11-27", since="2026-11-20", tz=ZONE))
        sources = partial(list_reports, NOW)
        app = Dashboard(PageMaker(views, tz=ZONE, clock=lambda: NOW, sources=sources))
        with serving(app) as base:
            pages = {name: f"{base}/{path}" for name, path in list_pages(views).items()}
            pages["report"] = report.absolute().as_uri()
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    context = browser.new_context(
                        viewport={"width": width, "height": 900}, color_scheme=scheme
                    )
                    page = context.new_page()
                    for name, address in pages.items():
                        if names and name not in names:
                            continue
                        page.goto(address)
                        suffix = "-dark" if scheme == "dark" else ""
                        page.screenshot(path=folder / f"{name}-{width}{suffix}.png", full_page=True)
                    context.close()


def main(folder: str = "dashboard-screenshots") -> None:
    """Makes a database, and writes the pictures of its pages."""
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{place}/runs.db"
        fill_week(url)
        take(url, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
