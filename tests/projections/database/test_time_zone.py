"""Each connection to PostgreSQL is in UTC, whatever the server, the database or the URL say."""

from contextlib import closing

import pytest

from projections.database.engine import open_engine
from tests.support.postgres import PostgresServer
from tracker.event_store import open_event_store
from tracker.event_store.recorder_store import RecorderEventStore

pytestmark = pytest.mark.integration

OPTIONS = "?options=-c%20TimeZone%3DAsia/Tokyo%20-c%20application_name%3Dours"


@pytest.mark.parametrize("options", ["", OPTIONS])
def test_connections_are_in_utc(postgres: PostgresServer, postgres_db: str, options: str) -> None:
    name = postgres_db.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET timezone = 'America/New_York'")
    url = postgres_db + options
    engine = open_engine(url)
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW TimeZone").scalar() == "UTC"
            if options:
                assert connection.exec_driver_sql("SHOW application_name").scalar() == "ours"
            connection.rollback()
    engine.dispose()
    with closing(open_event_store(url)) as store:
        assert isinstance(store, RecorderEventStore)
        with store.transaction(commit=False) as cursor:
            cursor.execute("SHOW TimeZone")
            assert list(cursor.fetchone().values()) == ["UTC"]
