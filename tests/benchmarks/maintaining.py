"""Appends beside the maintenance of PostgreSQL, and the same rows inserted by the driver alone.

Three writers append three events each at a steady pace, once beside the server's own autovacuum and
once beside ANALYZE, VACUUM and a vacuum that freezes all too, one after the other without a pause.
Before each turn so many transaction ids are used up that autovacuum has to prevent a wraparound,
which it gives up for nobody. The statistics of the server tell that it ran.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, perf_counter, sleep

import psycopg

from tests.benchmarks.report import machine, middle, table, write
from tests.support.postgres import running_postgres
from tests.support.run_builder import STATUS_CHANGED
from tests.support.three_writers import MAINTENANCE
from tracker import open_event_store
from tracker.event_store import Append
from tracker.event_store.codec import encode

_WRITERS = 3
_EVENTS = 3
_RAW = "raw_events"
_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
# Vacuums and analyses of its own for each hundred rows, checked for each second.
_AUTOVACUUM = {
    "autovacuum": "on",
    "autovacuum_naptime": "1s",
    "autovacuum_vacuum_insert_threshold": "100",
    "autovacuum_vacuum_insert_scale_factor": "0",
    "autovacuum_analyze_threshold": "100",
    "autovacuum_analyze_scale_factor": "0",
    # The smallest; a vacuum against wraparound comes after so many transactions.
    "autovacuum_freeze_max_age": "100000",
}
_AGE = 110_000
_FILL = (
    "INSERT INTO {table} (originator_id, originator_version, topic, state) "
    "SELECT 'assistants:filled_' || n, 1, 'run.filled/1', repeat('x', 200)::bytea "
    "FROM generate_series(1, {rows}) AS n"
)

# Appends the events of a stream.
Write = Callable[[str], object]


@dataclass(frozen=True)
class Settings:
    """Rows before, seconds of each turn, appends a second of each writer, and the use of ids.

    With `ages`, transaction ids are used up before each turn, so that a vacuum against wraparound
    comes in it.
    """

    rows: int = 200_000
    seconds: float = 12.0
    rate: float = 20.0
    ages: bool = True


FULL = Settings()
TINY = Settings(rows=1_000, seconds=0.3, ages=False)


@dataclass
class Turn:
    """The seconds of each append, and how often the table was maintained meanwhile."""

    appends: list[float]
    statements: int
    autovacuums: int
    autoanalyses: int
    # True if the age of the oldest transaction id of the table went down.
    is_frozen: bool


class _Floor:
    """The same rows, inserted by one statement of the driver on a connection of its own."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def write(self, stream: str) -> None:
        topic, state = encode(STATUS_CHANGED)
        numbers = range(1, _EVENTS + 1)
        self._connection.execute(
            f"INSERT INTO {_RAW} (originator_id, originator_version, topic, state) "
            "SELECT * FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[])".encode(),
            ([stream] * _EVENTS, list(numbers), [topic] * _EVENTS, [state] * _EVENTS),
        )

    def close(self) -> None:
        self._connection.close()


def _prepare(url: str, rows: int) -> None:
    open_event_store(url).close()
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE TABLE {_RAW} (LIKE runfold_events INCLUDING ALL)".encode())
        for name in ("runfold_events", _RAW):
            connection.execute(_FILL.format(table=name, rows=rows).encode())


def _use_up_ids(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"DO $$ BEGIN FOR n IN 1..{_AGE} LOOP PERFORM pg_current_xact_id(); COMMIT; "
            "END LOOP; END $$".encode()
        )


def _read_statistics(url: str, name: str) -> tuple[int, int, int]:
    """Returns the number of autovacuums and of autoanalyses, and the age of a table."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT autovacuum_count, autoanalyze_count, age(relfrozenxid) "
            "FROM pg_stat_user_tables JOIN pg_class ON pg_class.oid = relid "
            "WHERE pg_class.relname = %s",
            (name,),
        ).fetchone()
    assert row is not None
    return row


def take_turn(
    url: str, name: str, writers: list[Write], settings: Settings, *, maintain: bool, turn: str
) -> Turn:
    """Has the writers append to a table beside its maintenance, also by statements or not."""
    stop = threading.Event()
    appends: list[float] = []
    statements = 0
    if settings.ages:
        _use_up_ids(url)
    before = _read_statistics(url, name)

    def append(number: int) -> None:
        began, done = monotonic(), 0
        while (elapsed := monotonic() - began) < settings.seconds:
            if done < elapsed * settings.rate:
                started = perf_counter()
                writers[number](f"assistants:{turn}_{number}_{done}")
                appends.append(perf_counter() - started)
                done += 1
            else:
                sleep(0.002)

    def keep_up() -> None:
        nonlocal statements
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                for statement in MAINTENANCE:
                    connection.execute(statement.replace("runfold_events", name).encode())
                    statements += 1

    threads = [threading.Thread(target=append, args=(number,)) for number in range(_WRITERS)]
    others = [threading.Thread(target=keep_up)] if maintain else []
    for thread in (*threads, *others):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    for thread in others:
        thread.join()
    after = _read_statistics(url, name)
    return Turn(
        appends, statements, after[0] - before[0], after[1] - before[1], after[2] < before[2]
    )


def measure(title: str, server_settings: dict[str, str], settings: Settings) -> None:
    """Measures both contenders in turns; fails if the server did not maintain the tables."""
    rows = []
    with running_postgres({**server_settings, **_AUTOVACUUM}) as server:
        server.execute("CREATE DATABASE maintained")
        url = server.url("maintained")
        _prepare(url, settings.rows)
        stores = [open_event_store(url) for _ in range(_WRITERS)]
        floors = [_Floor(url) for _ in range(_WRITERS)]

        def ours(number: int) -> Write:
            return lambda stream: stores[number].append(
                [Append(stream, 0, [STATUS_CHANGED] * _EVENTS)]
            )

        contenders: dict[str, tuple[str, list[Write]]] = {
            "ours": ("runfold_events", [ours(number) for number in range(_WRITERS)]),
            "the driver alone": (_RAW, [it.write for it in floors]),
        }
        try:
            for maintain in (False, True):
                for who, (name, writers) in contenders.items():
                    turn = take_turn(
                        url, name, writers, settings, maintain=maintain, turn=f"{maintain}"
                    )
                    rows.append((who, maintain, turn))
        finally:
            for each in (*stores, *floors):
                each.close()
    for _, maintain, turn in rows:
        if maintain:
            assert turn.statements >= len(MAINTENANCE)
        if settings.ages:
            assert turn.is_frozen
            # Statements leave little for the server to do.
            assert maintain or (turn.autovacuums > 0 and turn.autoanalyses > 0)
    header = ("contender", "statements", "autovacuums", "analyses", "p50", "p99", "longest")
    table(title, header, [_describe(who, maintain, turn) for who, maintain, turn in rows])


def _describe(who: str, maintain: bool, turn: Turn) -> tuple[str, ...]:
    times = sorted(turn.appends)
    figures = (middle(times), times[int(len(times) * 0.99)], times[-1])
    return (
        f"{who}, beside {'statements too' if maintain else 'autovacuum'}",
        str(turn.statements),
        str(turn.autovacuums),
        str(turn.autoanalyses),
        *(f"{it * 1000:.1f} ms" for it in figures),
    )


def main(settings: Settings = FULL) -> None:
    """Measures with and without fsync."""
    write("\n# Appends beside maintenance: at most 60 ms")
    rate = f"{_WRITERS * settings.rate:.0f} appends a second"
    measure(f"{rate}, fsync off, as in the tests", {}, settings)
    measure(f"{rate}, fsync and synchronous_commit on", _DURABLE, settings)


if __name__ == "__main__":
    write(machine())
    main()
