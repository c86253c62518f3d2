"""Indexes and triggers of users on our tables, which a rebuild keeps."""

from contextlib import closing

import pytest
from sqlalchemy import Engine, text

from projections import Views
from projections.database.engine import open_engine
from tests.support.reference_fold import many_runs
from tracker.event_store import open_event_store

pytestmark = pytest.mark.integration

TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER zz_first AFTER INSERT ON runs BEGIN "
        "INSERT INTO audit VALUES ('first ' || new.run_id); END",
        "CREATE TRIGGER aa_second AFTER INSERT ON Runs BEGIN "
        "INSERT INTO audit VALUES ('second ' || new.run_id); END",
    ],
    "postgresql": [
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO audit VALUES ('first ' || new.run_id); RETURN NULL; END $$",
        "CREATE TRIGGER zz_first AFTER INSERT ON runs FOR EACH ROW EXECUTE FUNCTION note()",
    ],
}
INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
}


def read_indexes(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return sorted(map(tuple, connection.execute(text(INDEXES[connection.dialect.name]))))


def test_indexes_and_triggers_survive_a_rebuild(database_url: str) -> None:
    with closing(open_event_store("memory://")) as store, Views(database_url, store=store) as views:
        store.append(many_runs(3))
        views.upgrade()
        views.catch_up()
        engine = open_engine(database_url)
        with engine.begin() as connection:
            for statement in (
                "CREATE INDEX of_mine ON runs (assistant_id, model) WHERE model IS NOT NULL",
                "CREATE UNIQUE INDEX also_mine ON run_phases (run_key, entered_at, seq)",
                "CREATE TABLE audit (note TEXT)",
                *TRIGGERS[connection.dialect.name],
            ):
                connection.execute(text(statement.replace(":", r"\:")))
        before = read_indexes(engine)
        assert {"of_mine", "also_mine", "ix_runs_open"} <= {name for name, _ in before}
        for _ in range(2):
            views.rebuild()
            assert read_indexes(engine) == before
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM audit"))
        [new, *_] = many_runs(1)
        event = new.events[0].model_copy(update={"run_id": "run_new"})
        store.append([new._replace(stream="assistants:run_new", events=[event])])
        views.catch_up()
        with engine.connect() as connection:
            notes = connection.execute(text("SELECT note FROM audit")).scalars().all()
        expected = ["first run_new", "second run_new"]
        assert sorted(notes) == expected[: len(TRIGGERS[engine.dialect.name])][: len(notes)] != []
        assert len(notes) == (2 if engine.dialect.name == "sqlite" else 1)
        assert views.verify() == []
        engine.dispose()
