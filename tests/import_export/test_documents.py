"""The documents in a line: which are taken, unpacked from what wraps them, and which are named."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections import Views
from tests.support.command_line import run_body, runfold, write_lines
from tests.support.odd_documents import import_beside_good_runs
from tracker import open_event_store
from tracker.core.snapshot import RunSnapshot
from tracker.errors import PayloadError
from tracker.import_export.documents import StepLine, read_documents

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEP = {
    "id": "step_1",
    "object": "thread.run.step",
    "created_at": 1_750_000_003,
    "run_id": "run_1",
    "thread_id": "thread_1",
    "type": "message_creation",
    "status": "completed",
    "completed_at": 1_750_000_006,
    "usage": {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "created_at": 1_750_000_000,
}
TURN = {"id": "turn_1", "object": "agent.session.turn", "status": "completed", "session_id": "s"}
GRAPH = {"run_id": "graph_1", "thread_id": "thread_1", "status": "success"}
RUNS = [run_body(), RESPONSE, TURN, GRAPH]


def read(value: Any) -> list[Any]:
    line = value if isinstance(value, bytes) else json.dumps(value).encode()
    return list(read_documents(line, None, NOW))


def ids(value: Any) -> list[str]:
    found = read(value)
    return [it.run_id if isinstance(it, RunSnapshot) else f"! {it}" for it in found]


def wraps(run: dict[str, Any]) -> list[Any]:
    name = "response.completed" if run is RESPONSE else "thread.run.completed"
    shown = {"response": run} if run is RESPONSE else {"data": run}
    return [
        run,
        [run],
        {"object": "list", "data": [run], "has_more": False},
        {"data": [run]},
        [{"object": "list", "data": [run]}],
        {"body": run, "observed_at": "2026-01-01T00:00:00Z"},
        {"body": [run], "source": "mine"},
        {"body": {"object": "list", "data": [run]}},
        {"id": "evt_1", "object": "event", "type": name, "created_at": 1, "data": run},
        {"type": name, **shown} if run is RESPONSE else {"event": name, **shown},
    ]


@pytest.mark.parametrize("run", RUNS, ids=["run", "response", "turn", "graph"])
def test_a_run_in_each_wrapping(run: dict[str, Any]) -> None:
    [plain] = read(run)
    for wrapped in wraps(run)[: None if run in RUNS[:2] else -1]:
        [found] = read(wrapped)
        assert isinstance(found, RunSnapshot), wrapped
        others = {"source": plain.source, "observed_at": NOW, "asked_at": None}
        # An envelope tells when it was made, and so when its run was as it says.
        others |= {"asked_since": plain.asked_since}
        assert found.model_copy(update=others) == plain


@given(st.lists(st.sampled_from([*RUNS, STEP, {"object": "batch", "id": "b"}, 3]), max_size=8))
def test_each_entry_of_a_page_is_taken_or_named(entries: list[Any]) -> None:
    for wrapped in (entries, {"object": "list", "data": entries}):
        found = read(wrapped)
        assert len(found) == len(entries)
        for entry, document in zip(entries, found, strict=True):
            is_bad = entry == 3 or (isinstance(entry, dict) and entry.get("object") == "batch")
            assert isinstance(document, PayloadError) is is_bad
            assert isinstance(document, StepLine) is (entry is STEP)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"id": "b", "object": "batch", "status": "completed"}, "a batch, not a run"),
        ({"id": "e", "object": "eval.run", "status": "queued"}, "an eval.run, not a run"),
        ({"id": "e", "object": "realtime.response", "status": "completed"}, "a realtime.response"),
        ({"id": "m", "object": "thread.message", "run_id": "r", "status": "x"}, "thread.message"),
        ({"id": "m", "object": 3, "status": "x"}, "`object` is int"),
        ({"id": "m", "status": "x"}, "an id and a status alone"),
        ({"id": "m", "run_id": "r", "thread_id": "t", "status": "x"}, "not a run"),
        ({"status": "x", "thread_id": "t"}, "id missing"),
        ([[[[[[run_body()]]]]]], "within too many"),
        ({"type": "batch.completed", "data": {"id": "batch_1"}}, "names its subject"),
        ({"body": 3}, "body: not a JSON object"),
        ({"body": run_body(), "source": "a:b"}, "colon"),
        ({"body": STEP, "source": "a:b"}, "not the name of a source"),
        ({"body": run_body(), "source": "configuration"}, "source"),
        (run_body("\u202e\u2066"), "no visible character"),
        (run_body("\x85"), "no visible character"),
        (run_body("   "), "no visible character"),
        (run_body("a" * 2049), "run_id"),
        (b'{"id": "run_\\ud83d", "object": "thread.run", "status": "queued"}', "id:"),
        (STEP | {"run_id": " "}, "run_id"),
        (b"3", "not a JSON object"),
        (b"\xff", "not JSON"),
    ],
)
def test_what_is_no_run_is_named(value: Any, said: str) -> None:
    [problem] = read(value)
    assert isinstance(problem, PayloadError)
    assert said in str(problem)


def test_an_object_that_is_called_run_is_one_where_the_rest_is() -> None:
    assert ids(run_body() | {"object": "run"}) == ["run_1"]
    assert ids(GRAPH | {"object": None}) == ["graph_1"]
    [problem] = read({"id": "1", "object": "run", "status": "completed"})
    assert isinstance(problem, PayloadError)


def test_server_sent_events_are_read_as_they_were_sent() -> None:
    lines = [
        b"event: thread.run.completed",
        b"data: " + json.dumps(run_body()).encode(),
        b": a comment",
        b"id: 3",
        b"data: [DONE]",
        b'data: {"type": "response.output_text.delta", "delta": "x"}',
    ]
    assert [found for line in lines for found in ids(line)] == ["run_1"]


def test_a_file_of_each_layout(tmp_path: Path) -> None:
    layouts = {
        "lines": "\n".join(json.dumps(run) for run in RUNS),
        "array": json.dumps(RUNS),
        "indented array": json.dumps(RUNS, indent=2),
        "page": json.dumps({"object": "list", "data": RUNS, "has_more": False}, indent=4),
        "one after another": "\n".join(json.dumps(run, indent=2) for run in RUNS),
        "with a byte order mark": "\ufeff" + json.dumps(RUNS, indent="\t"),
    }
    for name, text in layouts.items():
        file, url = tmp_path / f"{name}.json", f"sqlite:///{tmp_path}/{name}.db"
        file.write_text(text, "utf-8")
        done = runfold("import", file, "--db", url)
        assert (done.code, done.err) == (0, ""), name
        assert "4 snapshots imported" in done.out, name


def test_the_line_of_a_bad_entry_is_that_of_its_document(tmp_path: Path) -> None:
    batch = {"id": "batch_1", "object": "batch", "status": "completed"}
    file = tmp_path / "runs.json"
    file.write_text(json.dumps(run_body(), indent=1) + "\n" + json.dumps([run_body("r"), batch]))
    done = runfold("import", file, "--db", f"sqlite:///{tmp_path}/runs.db")
    number = len(json.dumps(run_body(), indent=1).splitlines()) + 1
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert f"runs.json:{number}: entry 2: a batch, not a run" in done.err


@pytest.mark.integration
@pytest.mark.parametrize("is_first", [True, False])
def test_steps_are_taken_as_steps(database_url: str, tmp_path: Path, is_first: bool) -> None:
    lines = [STEP, run_body()] if is_first else [run_body(), STEP]
    import_beside_good_runs(database_url, tmp_path, *lines)
    with Views(database_url) as views:
        assert [step.step_id for step in views.steps("run_1")] == ["step_1"]
        assert views.run("run_1").total_tokens == 42


@pytest.mark.integration
def test_a_step_whose_run_does_not_come_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    done = runfold("import", write_lines(tmp_path / "a.jsonl", STEP), "--db", url)
    assert (done.code, done.out.splitlines()[0]) == (
        1,
        "1 steps imported, 0 new events, 0 new runs",
    )
    assert "a.jsonl:1: a step, not a run; its run run_1 is not recorded" in done.err
    assert runfold("import", write_lines(tmp_path / "b.jsonl", run_body()), "--db", url).code == 0
    again = runfold("import", write_lines(tmp_path / "a.jsonl", STEP), "--db", url)
    assert (again.code, again.out.splitlines()[0]) == (
        0,
        "1 steps imported, 1 new events, 0 new runs",
    )


@pytest.mark.integration
def test_the_looks_at_an_open_run_count_also_after_its_end(tmp_path: Path) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    looks = [
        run_body(),
        run_body(status="requires_action", required_action=action),
        run_body(status="in_progress"),
        run_body(status="queued"),
    ]
    url = f"sqlite:///{tmp_path}/runs.db"
    import_beside_good_runs(url, tmp_path, *looks)
    with Views(url) as views:
        assert [it.tool_call_id for it in views.actions("run_1")] == ["call_1"]
        assert views.run("run_1").status == "completed"


@pytest.mark.integration
def test_an_import_counts_what_the_store_has(database_url: str, tmp_path: Path) -> None:
    lines = [
        run_body("run_1", instructions="Be brief.", tools=[]),
        run_body("run_1", "failed"),
        STEP,
        RESPONSE | {"previous_response_id": "resp_0", "instructions": "Be long."},
        run_body("run_2", "queued"),
        run_body("run_2", "completed", thread_id="thread_2"),
        {"object": "batch"},
    ]
    file = write_lines(tmp_path / "runs.jsonl", *lines)
    done = runfold("import", file, "--db", database_url)
    store = open_event_store(database_url)
    entries = store.read_all(limit=1000)
    store.close()
    runs = sum(entry.event.topic == "run.created" for entry in entries)
    assert f"{len(entries)} new events, {runs} new runs" in done.out
    assert "0 new events, 0 new runs" in runfold("import", file, "--db", database_url).out


@pytest.mark.integration
def test_a_run_on_another_thread_never_changes_the_known_one(
    database_url: str, tmp_path: Path
) -> None:
    known, other = (
        run_body(),
        run_body(thread_id="thread_2", status="failed", failed_at=1_750_000_009),
    )
    step = STEP | {"thread_id": "thread_2"}
    import_beside_good_runs(database_url, tmp_path, known)
    with Views(database_url) as views:
        before = views.run("run_1")
    done = runfold("import", write_lines(tmp_path / "b.jsonl", other, step), "--db", database_url)
    assert done.code == 1
    assert done.err.count("another thread, thread_1,") == 2
    with Views(database_url) as views:
        views.catch_up()
        after = views.run("run_1")
        # Its history has one more event, which says so.
        assert after.version == before.version + 1
        same = {"version": before.version, "last_changed_at": before.last_changed_at}
        assert replace(after, **same) == before
        assert list(views.steps("run_1")) == []
    doctor = runfold("doctor", "--db", database_url)
    assert doctor.code == 0
    assert "runs on other threads came with the ids of these" in doctor.out
    assert "assistants:run_1" in doctor.out
    assert runfold("doctor", "--json", "--db", database_url).document["shared_ids"] == [
        "assistants:run_1"
    ]


@pytest.mark.integration
def test_long_ids_in_the_tables(database_url: str, tmp_path: Path) -> None:
    start = "".join(chr(ord("a") + number * 7919 % 26) for number in range(2040))
    names = [f"{start}1", f"{start}2", "\U0001f680" * 2048]
    import_beside_good_runs(database_url, tmp_path, *map(run_body, names))
    with Views(database_url) as views:
        for name in names:
            assert (views.run(name).run_id, views.run(name).total_tokens) == (name, 42)
    history = runfold("history", names[0], "--json", "--db", database_url)
    assert history.document[0]["topic"] == "run.created/1"
    exported = tmp_path / "events.jsonl"
    assert runfold("export", exported, "--events", "--db", database_url).code == 0
    copied = runfold("import", exported, "--db", f"sqlite:///{tmp_path}/second.db")
    assert (copied.code, copied.err) == (0, "")
