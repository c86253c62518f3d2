"""Runs by filters and orders, page by page: the same as a plain search, without a full scan."""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from projections import RunRow, Views
from projections.database.engine import open_engine
from projections.queries import run_search
from projections.web.guarded_answers import GuardedAnswers
from tests.support.cost_fixtures import price_list
from tests.support.run_builder import BIRTH, created, ended, second, started, waiting
from tracker.core import events as e
from tracker.core.snapshot import RunError
from tracker.core.usage import Usage
from tracker.errors import SettingsError, UnknownRun
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration

RUNS = 30
ENDS = (e.RunCompleted, e.RunCompleted, e.RunFailed, e.RunIncomplete, None, None)
ORDERS: tuple[Any, ...] = ("newest", "oldest", "slowest", "dearest", "most_tokens")


def make_run(number: int, chance: random.Random) -> Append:
    """Returns a run that has many values in common with others, also its creation."""
    run_id, source = f"run_{number}", chance.choice(["assistants", "mine"])
    later = timedelta(minutes=chance.randrange(30))
    story: list[e.Event] = [
        created(
            run_id=run_id,
            source=source,
            occurred_at=BIRTH + later,
            model=chance.choice(["small", "large", None]),
            assistant_id=chance.choice(["asst_1", "asst_2", None]),
            thread_id=chance.choice(["thread_1", "thread_2", f"thread_{number}"]),
            metadata=chance.choice([{"team": "a"}, {"team": "b", "n": 1}, {"n": 1.0}, {"n": "1"}]),
        ),
        started(2, stamp=1, since=1),
    ]
    kind = chance.choice(ENDS)
    if kind is None:
        story += [waiting(5, since=4)] if chance.random() < 0.5 else []
    else:
        count = chance.randrange(1, 5) * 100
        usage = chance.choice([Usage(prompt_tokens=count, completion_tokens=50), None])
        error = RunError(code=chance.choice(["server_error", "rate_limit_exceeded"]), message="no")
        stamp = chance.randrange(8, 20)
        end = ended(kind, 3600, stamp=None, since=8, usage=usage)
        story.append(
            end.model_copy(
                update={
                    "occurred_at": second(stamp) + later,
                    "error": error if kind is e.RunFailed else None,
                }
            )
        )
    return Append(f"{source}:{run_id}", 0, story)


@pytest.fixture
def views(database_url: str) -> Iterator[Views]:
    store = open_event_store("memory://")
    chance = random.Random(20)
    store.append([make_run(number, chance) for number in range(RUNS)])
    with Views(database_url, store=store, prices=price_list("small")) as views:
        views.upgrade()
        views.catch_up()
        yield views


def sort_value(run: RunRow, order: str) -> Any:
    if order in ("newest", "oldest"):
        return run.created_at
    if order == "slowest":
        return run.total_seconds
    if order == "dearest":
        return run.total_dollars
    if run.total_tokens is not None:
        return run.total_tokens
    sides = run.prompt_tokens, run.completion_tokens
    return None if None in sides else sum(it for it in sides if it is not None)


def search_plainly(rows: Sequence[RunRow], order: str, choice: dict[str, Any]) -> list[str]:
    """Returns the keys of the runs that match, in order, as a loop over all runs finds them."""
    found = []
    for run in rows:
        if sort_value(run, order) is None:
            continue
        if "since" in choice and run.created_at < choice["since"]:
            continue
        if "until" in choice and run.created_at >= choice["until"]:
            continue
        if all(matches(run, name, wanted) for name, wanted in choice.items()):
            found.append(run)
    is_descending = order != "oldest"
    found.sort(key=lambda it: (sort_value(it, order), it.run_key), reverse=is_descending)
    return [it.run_key for it in found]


def matches(run: RunRow, name: str, wanted: Any) -> bool:
    if name in ("since", "until"):
        return True
    if name == "metadata":
        return all(shorten(run.metadata.get(key)) == shorten(it) for key, it in wanted.items())
    values = [wanted] if isinstance(wanted, str) else wanted
    return (getattr(run, name) or "") in values


def shorten(value: Any) -> str | None:
    return None if value is None else str(int(value)) if isinstance(value, float) else str(value)


def choose(chance: random.Random) -> dict[str, Any]:
    """Returns some filters."""
    since = BIRTH + timedelta(minutes=chance.randrange(30))
    possible: dict[str, Any] = {
        "status": chance.choice(["completed", ["in_progress", "requires_action"], "failed"]),
        "outcome": chance.choice(["completed", ("failed", "incomplete"), "", []]),
        "source": "mine",
        "thread_id": chance.choice(["thread_1", ["thread_2", "thread_5"]]),
        "assistant_id": chance.choice(["asst_1", ""]),
        "model": chance.choice(["small", ["large", ""]]),
        "error_code": "server_error",
        "metadata": chance.choice([{"team": "a"}, {"n": 1}, {"n": "1", "team": "b"}, {"x": None}]),
        "since": since,
        "until": since + timedelta(minutes=chance.randrange(20)),
    }
    names = chance.sample(sorted(possible), chance.choice([0, 1, 1, 2, 3]))
    return {name: possible[name] for name in names}


def collect(views: Views, limit: int, **choice: Any) -> list[str]:
    """Returns the keys of all pages, which are never too long and always come to an end."""
    found: list[str] = []
    cursor = None
    for _ in range(4 * RUNS):
        page = views.runs(limit=limit, cursor=cursor, **choice)
        assert len(page) <= limit
        found += [it.run_key for it in page]
        # A short page that is not the last one says why.
        assert (page.note is not None) == (len(page) < limit and page.next_cursor is not None)
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("most_read", [7, 10_000])
def test_pages_have_all_runs_that_match_in_order(
    views: Views, monkeypatch: pytest.MonkeyPatch, most_read: int
) -> None:
    monkeypatch.setattr(run_search, "MOST_READ", most_read)
    chance = random.Random(most_read)
    rows = views.runs(limit=None)
    assert len(rows) == RUNS
    for order in ORDERS:
        for choice in ({}, *(choose(chance) for _ in range(4))):
            expected = search_plainly(rows, order, choice)
            limit = chance.choice([3, 7])
            assert collect(views, limit, order=order, **choice) == expected, (order, choice)
            everything = views.runs(limit=None, order=order, **choice)
            assert [it.run_key for it in everything] == expected
            assert everything.next_cursor is everything.note is None


@pytest.mark.parametrize("most_read", [7, 10_000])
def test_no_page_reads_all_runs(
    views: Views, database_url: str, monkeypatch: pytest.MonkeyPatch, most_read: int
) -> None:
    monkeypatch.setattr(run_search, "MOST_READ", most_read)
    chance = random.Random(3)
    choices = [{}, *({name: it} for _ in range(3) for name, it in choose(chance).items())]
    choices += [choose(chance) for _ in range(3)]

    def ask() -> None:
        for order in ORDERS:
            for choice in choices:
                page = views.runs(order=order, limit=3, **choice)
                views.runs(order=order, limit=3, cursor=page.next_cursor, **choice)

    assert_no_full_scan(views, database_url, ask)


def test_no_other_question_reads_all_runs(views: Views, database_url: str) -> None:
    day = {"since": BIRTH, "until": BIRTH + timedelta(days=1)}

    def ask() -> None:
        views.failures()
        views.failures(model="small", **day)
        views.open_runs(limit=5)
        views.open_runs(status="requires_action", limit=5)
        views.actions(waiting=True, limit=5)
        views.stuck(limit=5)
        views.run("run_1")
        for by in ("day", "hour", ("day", "model")):
            views.status_counts(by=by, source="mine")
            views.usage(by=by, model="small", **day)
            views.timing(by=by, outcome="completed")
            views.cost(by=by, assistant_id=["asst_1", "asst_2"], **day)
        views.usage(thread_id="thread_1")
        views.usage(by="metadata.team", newest=5)
        views.status_counts(metadata={"team": "a"}, newest=5)

    assert_no_full_scan(views, database_url, ask)


def assert_no_full_scan(views: Views, database_url: str, ask: Any) -> None:
    """Checks the plan of each statement that reads a table of runs or events."""
    statements: dict[str, tuple[Any, ...]] = {}

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.setdefault(statement, parameters)

    engine = views._engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    other = open_engine(database_url)
    with other.begin() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            # So few rows would be read without an index.
            connection.exec_driver_sql("SET enable_seqscan = off")
        for statement, parameters in statements.items():
            if not statement.startswith(("SELECT", "WITH")):
                continue
            explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
            plan = connection.exec_driver_sql(explain + statement, parameters).all()
            for line in (str(it[-1]) for it in plan):
                is_scan = line.startswith("SCAN ") or "Seq Scan on " in line
                table = line.replace("Seq Scan on", "SCAN").partition("SCAN ")[2].split(" ")[0]
                if is_scan and table in ("runs", "run_phases", "run_actions", "run_costs"):
                    assert "INDEX" in line, (line, statement)
    other.dispose()


def test_a_row_has_its_cost(views: Views) -> None:
    [dearest, *_] = views.runs(order="dearest")
    assert dearest.total_dollars == max(it.total_dollars or 0 for it in views.runs())
    assert views.run(dearest.run_key) == views.run(dearest.run_id) == dearest
    assert views.runs(status="in_progress")[0].total_dollars is None


def test_sums_have_the_runs_that_match(views: Views) -> None:
    rows = views.runs(limit=None)
    chance = random.Random(5)
    for _ in range(8):
        choice = choose(chance)
        limits = {name: choice.pop(name) for name in ("since", "until") if name in choice}
        matching = [
            it for it in rows if it.run_key in search_plainly(rows, "newest", {**choice, **limits})
        ]
        ended_runs = [it for it in matching if it.outcome is not None]
        by = chance.choice([None, "model", "day", "metadata.team"])
        counts = views.status_counts(by=by, **limits, **choice)
        assert sum(it.runs for it in counts) == len(matching), choice
        usage = views.usage(by=by, **limits, **choice)
        assert sum(it.runs for it in usage) == len(ended_runs), choice
        tokens = sum(it.total_tokens or 0 for it in ended_runs)
        assert sum(it.total_tokens or 0 for it in usage) == tokens
        cost = views.cost(by=by, **limits, **choice)
        dollars = sum(it.total_dollars or 0 for it in ended_runs)
        assert sum(it.total_dollars or 0 for it in cost) == dollars
        timing = views.timing(by=by, **limits, **choice)
        in_all = sum(it.runs for it in timing if it.phase == "total")
        assert in_all == sum(it.total_seconds is not None for it in ended_runs)


def test_only_the_newest_runs_count(views: Views) -> None:
    newest = views.runs(limit=12)
    ended_runs = [it for it in newest if it.outcome is not None]
    for by in ("model", "metadata.team", ("day", "assistant_id")):
        assert sum(it.runs for it in views.usage(by=by, newest=12)) == len(ended_runs)
        assert sum(it.runs for it in views.status_counts(by=by, newest=12)) == 12


def test_failures_by_error_code(views: Views) -> None:
    failed = [it for it in views.runs(limit=None) if it.outcome == "failed"]
    rows = views.failures()
    assert {it.error_code: it.runs for it in rows} == {
        code: sum(it.error_code == code for it in failed)
        for code in {it.error_code for it in failed}
    }
    assert [it.runs for it in rows] == sorted((it.runs for it in rows), reverse=True)
    assert sum(it.share for it in rows) == pytest.approx(1)
    last = max((it for it in failed if it.error_code == rows[0].error_code), key=sort_newest)
    found = rows[0].last_run_key, rows[0].last_created_at, rows[0].last_message
    assert found == (last.run_key, last.created_at, "no")
    assert len(views.failures(limit=1)) == 1
    mine = [it for it in failed if it.source == "mine"]
    assert sum(it.runs for it in views.failures(source="mine")) == len(mine)
    assert views.failures(since=second(9000)) == []


def sort_newest(run: RunRow) -> Any:
    return run.created_at, run.run_key


def test_open_runs_have_their_phases(views: Views) -> None:
    open_runs = [it for it in views.runs(limit=None, order="oldest") if it.outcome is None]
    rows = views.open_runs()
    assert [it.run_key for it in rows] == [it.run_key for it in open_runs]
    for row in rows:
        assert list(row.phases) == views.phases(row.run_id, row.source)
        assert row.phases[-1].left_at is None
    assert [it.run_key for it in views.open_runs(limit=2)] == [it.run_key for it in rows[:2]]
    waits = views.open_runs(status="requires_action", source="mine")
    assert {(it.status, it.source) for it in waits} == {("requires_action", "mine")}
    assert rows.records()[0]["phases"][0]["status"] == "queued"
    assert rows.to_arrow().num_rows == rows.to_polars().height == len(rows)


def test_wrong_questions_are_refused(views: Views) -> None:
    with pytest.raises(SettingsError, match="'fastest' is not an order of runs: newest, oldest"):
        views.runs(order="fastest")  # type: ignore[arg-type]
    page = views.runs(limit=1)
    with pytest.raises(SettingsError, match="the cursor is of runs in the order newest"):
        views.runs(order="oldest", cursor=page.next_cursor)
    for wrong in ("", "nonsense", "bnVsbA", "WzFd", "é", "W10", "WyJuZXdlc3QiLG51bGwsIngiXQ"):
        with pytest.raises(SettingsError, match="is not a cursor of runs"):
            views.runs(cursor=wrong)
    with pytest.raises(SettingsError, match="limit must be 0 or more"):
        views.runs(limit=-1)
    with pytest.raises(SettingsError, match="model has to be a text"):
        views.usage(model=[3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="colour"):
        views.usage(colour="red")  # type: ignore[call-arg]
    with pytest.raises(SettingsError, match="open runs cannot be filtered by outcome"):
        views.open_runs(outcome="failed")
    for ask in (views.open_runs, views.failures):
        with pytest.raises(SettingsError, match="cannot be filtered by metadata"):
            ask(metadata={"team": "a"})
    with pytest.raises(UnknownRun, match="pass the id of a run"):
        views.run("")


def test_a_question_leaves_no_setting_behind(postgres_db: str) -> None:
    """Other questions follow in the same transaction, as those of a page do."""
    with Views(postgres_db) as views:
        views.upgrade()
        with closing(GuardedAnswers(views)) as answers:

            def read_settings() -> list[str]:
                with answers.connect() as connection:
                    names = ("enable_seqscan", "enable_bitmapscan")
                    return [str(connection.exec_driver_sql(f"SHOW {it}").scalar()) for it in names]

            assert read_settings() == ["on", "on"]
            answers.runs(limit=5)
            answers.failures()
            with pytest.raises(SettingsError):
                answers.runs(limit=5, cursor="of another order")
            assert read_settings() == ["on", "on"]
            with answers.connect() as connection:
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            answers.runs(limit=5)
            assert read_settings() == ["off", "on"]


def test_closed_views_say_so(database_url: str) -> None:
    with Views(database_url) as views:
        views.upgrade()
        past = views.as_of(0)
    views.close()
    for call in (views.runs, views.catch_up, views.doctor, views.upgrade, views.verify, past.runs):
        with pytest.raises(SettingsError, match="closed"):
            call()
