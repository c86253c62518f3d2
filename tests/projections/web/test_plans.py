"""The statements of each page: none reads a whole table of runs, phases, calls or events."""

import pytest
from starlette.testclient import TestClient

from projections import Views
from projections.database.engine import open_engine
from projections.web import terminal_page
from projections.web.app import Dashboard
from projections.web.page_maker import PageMaker
from tests.support.plans import find_scans, noted_statements
from tests.support.shown_week import NOW, SOURCE, fill_week

pytestmark = pytest.mark.integration

PATHS = (
    *("/", "/?since=24h", "/?since=all", "/?since=2026-11-20&until=2026-11-24", "/health"),
    *("/runs", "/runs?sort=time", "/runs?sort=tokens&since=all", "/runs?sort=dollars"),
    *("/runs?outcome=failed", "/runs?status=requires_action", "/runs?model=gpt-4o&error=x"),
    *("/runs?metadata=team=finance", "/runs?assistant=asst_refunds", "/runs?thread=thread_1"),
    *("/runs?q=run_shown00000000000", "/runs?q=thread_shown0000000000000", "/runs?q=nobody"),
    *(f"/runs/{SOURCE}/run_shown00000000000", f"/threads/{SOURCE}/thread_shown0000000000000"),
    *("/compare", "/compare?by=model&since=all", "/compare?by=source", "/compare?by=metadata.team"),
)


def test_no_page_reads_a_whole_table(database_url: str) -> None:
    fill_week(database_url, 15)
    with Views(database_url) as views:
        maker = PageMaker(views, clock=lambda: NOW)
        served = TestClient(Dashboard(maker))
        with noted_statements(views._engine) as statements:
            for path in PATHS:
                assert served.get(path, follow_redirects=False).status_code in (200, 303), path
            terminal_page.make_lines(views, [], 80, 24, maker=maker)
    assert len(statements) > 20
    other = open_engine(database_url)
    with other.begin() as connection:
        if connection.dialect.name != "sqlite":
            # So few rows would be read without an index.
            connection.exec_driver_sql("SET enable_seqscan = off")
        assert find_scans(connection, statements) == []
    other.dispose()
