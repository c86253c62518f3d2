"""Makes the golden databases of the newest revision: `python -m tests.golden.make_database`.

An SQLite file and the SQL text of a PostgreSQL database, named by their revision, with events
and the tables filled from them. Those of an older revision are kept as they are: the tests
upgrade them.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from projections import Views
from projections.database.schema import REVISION
from tests.support.paths import GOLDEN
from tests.support.postgres import running_postgres
from tests.support.run_builder import BIRTH, created, ended, second, started, waiting
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import Append, open_event_store

RUNS = 12
ENDS = (e.RunCompleted, e.RunFailed, e.RunCancelled, e.RunExpired)


def appends() -> Iterator[Append]:
    """Runs that wait, end in every way, or go on; with steps and late corrections."""
    for number in range(RUNS):
        run_id, key = f"run_{number}", f"assistants:run_{number}"
        usage = Usage(prompt_tokens=number, completion_tokens=5, total_tokens=number + 5)
        step = e.RunStepRecorded(
            observed_at=second(21),
            step_id="step_1",
            type="tool_calls",
            status="completed",
            tools=("price",),
            tool_call_ids=("call_1",),
            created_at=second(5),
            ended_at=second(12),
            usage=usage,
        )
        end = ended(ENDS[number % 4], 20, stamp=19, since=13, usage=usage if number % 3 else None)
        story: list[e.Event] = [
            created(
                run_id=run_id,
                occurred_at=BIRTH.replace(day=1 + number),
                thread_id=f"thread_{number % 3}",
                assistant_id="asst_ü" if number % 2 else None,
                model="gpt-4o",
                metadata={"user": f"ann's {number}", "deep": [1, None]},
            ),
            started(2, stamp=1, since=1),
            waiting(8, since=4),
            started(13, stamp=12, since=8, previous="requires_action"),
            end,
            step,
            e.RunUsageReported(observed_at=second(99), usage=Usage(total_tokens=70)),
            e.RunIdentified(observed_at=second(100), model="gpt-4o-mini", assistant_id="asst_1"),
        ]
        yield Append(key, 0, story[: 3 if number % 5 == 4 else 8 if number % 2 else 6])


def fill(url: str) -> None:
    """Records the runs and brings the tables up to them."""
    with closing(open_event_store(url)) as store:
        for append in appends():
            store.append([append])
    with Views(url) as views:
        views.upgrade()
        views.catch_up()


def make_sqlite(path: Path) -> None:
    """Writes a file with no log beside it."""
    path.unlink(missing_ok=True)
    fill(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("VACUUM")


def make_postgres(path: Path) -> None:
    """Writes the SQL text of the tables, as the migrations make them, and of their rows."""
    with running_postgres() as server:
        server.execute("CREATE DATABASE golden TEMPLATE template0")
        url = server.url("golden")
        fill(url)
        command = [str(server.binaries / "pg_dump"), "--inserts", "--no-owner", url]
        dumped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Lines for the terminal of PostgreSQL are no SQL.
    lines = [it for it in dumped.splitlines() if it and not it.startswith(("--", "\\"))]
    path.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    make_sqlite(GOLDEN / f"runs_{REVISION}.db")
    make_postgres(GOLDEN / f"runs_{REVISION}.sql")
