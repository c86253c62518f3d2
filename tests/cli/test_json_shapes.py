"""The JSON that runfold writes and reads, validated by the schemas in `.github/schemas`."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support import public_surface
from tests.support.command_line import SECONDS, run_body, runfold, write_lines
from tests.support.json_schemas import FOLDER, make_schemas, make_validator
from tests.support.postgres import PostgresServer
from tests.support.simulated_files import write_simulated_file
from tracker import Tracker, open_event_store
from tracker.core import events as e
from tracker.core.snapshot import Configuration, RunError, ToolCall
from tracker.core.usage import Usage
from tracker.event_store import Append
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants

KEY = "sk-shapes-4f1d9c22b7"
BIRTH = datetime(2026, 1, 1, 12, tzinfo=UTC)
GROUPS = "source,assistant_id,model,outcome,status,thread_id,metadata.team,metadata.score"
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ACTION = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [CALL]}}
CONFIGURATION = Configuration(
    instructions="Be brief.", tools=({"type": "function"},), settings={"temperature": 1}
)
# Each command with `--json`, and the definition of its output.
COMMANDS = {
    "runs": "runs",
    "status": "status",
    "timing": "timing",
    "usage": "usage",
    "cost": "cost",
    "cost --unpriced": "cost_unpriced",
    "actions": "actions",
    "stuck": "stuck",
    "history run_story": "history",
    "deliveries": "deliveries",
    "doctor": "doctor",
}
VARIANTS = {
    "actions --waiting": "actions",
    "actions run_story": "actions",
    "stuck --limit 1": "stuck",
    **{
        f"{command} --by {by} --tz Asia/Tokyo": command
        for command in ("status", "timing", "usage", "cost")
        for by in (GROUPS, "day,model", "hour")
    },
}
# Fields with data of any shape.
FREE = frozenset({"metadata", "settings", "tools", "peculiarities", "thread_usage"})


def make_time(number: float) -> datetime:
    return BIRTH + timedelta(seconds=number)


def make_story() -> list[e.Event]:
    """Returns every event that a completed run can have, with all fields set."""
    usage = Usage(
        prompt_tokens=30,
        completion_tokens=12,
        total_tokens=42,
        cached_tokens=3,
        reasoning_tokens=2,
        cache_write_tokens=4,
        cache_write_5m_tokens=1,
        cache_write_30m_tokens=1,
        cache_write_1h_tokens=1,
        cache_write_12h_tokens=1,
        service_tier="flex",
    )

    def times(number: float) -> dict[str, Any]:
        return {
            "observed_at": make_time(number + 0.25),
            "occurred_at": make_time(number),
            "not_before": make_time(number - 1),
            "not_after": make_time(number + 0.2),
            "inferred": True,
        }

    calls = (ToolCall(id="call_1", type="custom", name="price", arguments="{}"),)
    return [
        e.RunCreated(
            **times(0),
            source="assistants",
            run_id="run_story",
            status="queued",
            thread_id="thread_1",
            assistant_id="asst_1",
            model="gpt-4o",
            service_tier="auto",
            expires_at=make_time(600),
            metadata={"team": "blue", "score": [1, None]},
            configuration_digest=CONFIGURATION.digest,
            parent_run_id="run_parent",
            subagent_id="sub_1",
            environment_id="env_1",
        ),
        e.RunIdentified(
            observed_at=make_time(1),
            thread_id="thread_1",
            assistant_id="asst_1",
            model="gpt-4o",
            created_at=make_time(0),
            configuration_digest=CONFIGURATION.digest,
            parent_run_id="run_parent",
            subagent_id="sub_1",
            environment_id="env_1",
        ),
        e.RunStatusChanged(**times(2), previous="queued", status="in_progress"),
        e.RunTimesChanged(
            observed_at=make_time(3),
            previous_started_at=make_time(2),
            started_at=make_time(2.5),
            previous_expires_at=make_time(600),
            expires_at=make_time(700),
        ),
        e.RunActionRequired(**times(4), previous="in_progress", tool_calls=calls),
        e.ToolOutputsSubmitted(observed_at=make_time(6), tool_call_ids=("call_1",)),
        e.RunStatusChanged(**times(7), previous="requires_action", status="in_progress"),
        e.EnvironmentReported(observed_at=make_time(8), environment_id="env_1", status="suspended"),
        e.RunMetadataChanged(
            observed_at=make_time(8), previous={"team": "blue"}, metadata={"team": "red"}
        ),
        e.RunVanished(observed_at=make_time(9)),
        e.RunReappeared(observed_at=make_time(10)),
        e.RunAnomalyObserved(
            observed_at=make_time(11),
            kind="status_went_back",
            status="queued",
            known_status="in_progress",
        ),
        e.RunCompleted(**times(12), previous="in_progress", usage=Usage(), reason="max_tokens"),
        e.RunStepRecorded(
            observed_at=make_time(13),
            step_id="step_1",
            type="tool_calls",
            status="failed",
            tools=("price",),
            tool_call_ids=("call_1",),
            created_at=make_time(3),
            ended_at=make_time(6),
            usage=usage,
            error=RunError(code="server_error", message="No."),
        ),
        e.ThreadUsageReported(observed_at=make_time(13), previous=Usage(), usage=usage),
        e.RunUsageReported(observed_at=make_time(14), previous=Usage(), usage=usage),
    ]


def fill(url: str, folder: Path) -> None:
    """Records runs of many kinds, and each event."""
    bodies = [
        run_body(f"run_{status}", status, last_error={"code": "server_error", "message": "No."})
        for status in ("failed", "cancelled", "expired", "incomplete", "completed")
    ]
    bodies += [
        run_body("run_waiting", "requires_action", required_action=ACTION),
        run_body("run_stuck", "in_progress", metadata={"team": "blue"}),
        run_body("run_unpriced", model="our-deployment"),
        run_body("run_unknown", model=None, assistant_id=None, usage=None, thread_id=None),
    ]
    files = (
        write_lines(folder / "bodies.jsonl", *bodies),
        write_simulated_file(folder / "runs.jsonl"),
    )
    assert runfold("import", *files, "--db", url).code == 0
    digest = CONFIGURATION.digest
    recorded = e.ConfigurationRecorded(
        observed_at=BIRTH, digest=digest, configuration=CONFIGURATION
    )
    with closing(open_event_store(url)) as store:
        store.append(
            [
                Append(e.configuration_stream(digest), 0, [recorded]),
                Append("assistants:run_story", 0, make_story()),
            ]
        )
    assert runfold("catch-up", "--db", url).code == 0


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A database with runs."""
    folder = tmp_path_factory.mktemp("filled")
    if request.param == "sqlite":
        url = f"sqlite:///{folder}/runs.db"
        fill(url, folder)
        yield url
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    server.execute("CREATE DATABASE json_shapes TEMPLATE template0")
    fill(server.url("json_shapes"), folder)
    yield server.url("json_shapes")
    server.execute("DROP DATABASE json_shapes WITH (FORCE)")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database without runs."""
    url = f"sqlite:///{tmp_path_factory.mktemp('empty')}/runs.db"
    assert runfold("upgrade", "--db", url).code == 0
    return url


def read_answer(command: str, url: str) -> Any:
    """Returns the document that a command prints."""
    done = runfold(*command.split(), "--json", "--db", url)
    assert (done.code, done.err) == (0, "")
    return done.document


def export_events(url: str, file: Path) -> list[dict[str, Any]]:
    assert runfold("export", file, "--events", "--db", url).code == 0
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def iterate_objects(document: Any) -> Iterator[dict[str, Any]]:
    """Yields each object of a document, except inside fields of any shape."""
    if isinstance(document, dict):
        yield document
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    free = FREE | {"previous"} if "metadata" in document else FREE
    for name, value in entries:
        if isinstance(value, dict | list) and name not in free:
            yield from iterate_objects(value)


def assert_notices_other_fields(schema: Draft202012Validator, document: Any) -> None:
    """Fails if an additional field, in any object of a document, is not an error."""
    for found in iterate_objects(document):
        found["surprise"] = 1
        assert not schema.is_valid(document), f"an additional field is valid in {found}"
        del found["surprise"]
    assert schema.is_valid(document)


def assert_needs(schema: Draft202012Validator, document: Any, found: Any, *names: str) -> None:
    """Fails if any of these fields of an object in a document may be missing."""
    for name in names:
        value = found.pop(name)
        assert not schema.is_valid(document), f"{name} may be missing"
        found[name] = value


def test_the_schema_files_are_up_to_date() -> None:
    cure = "python -m tests.support.json_schemas"
    made = make_schemas()
    assert {file.name for file in FOLDER.iterdir()} == set(made), cure
    for name, schema in made.items():
        Draft202012Validator.check_schema(schema)
        assert json.loads((FOLDER / name).read_text("utf-8")) == schema, cure


def test_each_command_has_a_definition() -> None:
    taking = {
        name for name, (_, options) in public_surface.list_commands().items() if "--json" in options
    }
    assert {command.split()[0] for command in COMMANDS} == taking
    others = {*public_surface.list_events()}
    assert set(make_schemas()["cli.schema.json"]["$defs"]) == {
        *COMMANDS.values(),
        *others,
        "Unreadable",
    }


@pytest.mark.parametrize("command", [*COMMANDS, *VARIANTS])
def test_the_output_of_a_command(command: str, filled: str) -> None:
    document = read_answer(command, filled)
    assert document
    schema = make_validator("cli.schema.json", (COMMANDS | VARIANTS)[command])
    schema.validate(document)
    assert_notices_other_fields(schema, document)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_field_that_is_missing_is_noticed(command: str, filled: str) -> None:
    document = read_answer(command, filled)
    schema = make_validator("cli.schema.json", COMMANDS[command])
    if command == "history run_story":
        for entry in document:
            kind = e.EVENTS[entry["topic"].partition("/")[0]]
            _, required, _ = public_surface.list_events()[kind.__name__]
            assert_needs(schema, [entry], entry, "position", "version", "topic", *required)
    elif command in ("doctor", "deliveries"):
        for found in iterate_objects(document):
            assert_needs(schema, document, found, *found)
    else:
        grouped = {"model"} if command in ("usage", "cost") else set()
        for row in document:
            assert_needs(schema, document, row, *(row.keys() - grouped))


@pytest.mark.parametrize("command", [it for it in COMMANDS if not it.startswith("history")])
def test_the_output_of_a_command_without_runs(command: str, empty: str) -> None:
    document = read_answer(command, empty)
    make_validator("cli.schema.json", COMMANDS[command]).validate(document)
    assert command in ("doctor", "deliveries") or document == []


def test_a_history_of_nothing_is_no_document(empty: str) -> None:
    done = runfold("history", "run_1", "--json", "--db", empty)
    assert (done.code, done.out) == (1, "")
    assert not make_validator("cli.schema.json", "history").is_valid([])


def test_the_sources_that_a_doctor_sees(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    assert runfold("upgrade", "--db", url).code == 0
    quick = Parameters.ending("completed", action=0.0, stretched=0.0, time_scale=0.02)
    with Simulator(parameters=quick, api_key=KEY) as simulator:
        good = Assistants(simulator.base_url, KEY, name="good")
        refused = Assistants(simulator.base_url, "sk-other-4f1d9c22b7", name="refused")
        with Tracker(url, good, refused).in_background() as tracker:
            run = simulator.create_run()
            for source in ("good", "refused"):
                tracker.watch(run.thread_id, run.run_id, source=source)
            document = wait_for_refusal(url)
    schema = make_validator("cli.schema.json", "doctor")
    schema.validate(document)
    assert_notices_other_fields(schema, document)
    for found in document["sources"]:
        assert_needs(schema, document, found, *found)


def wait_for_refusal(url: str) -> Any:
    """Returns what `runfold doctor` says once it knows of a refused key."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        document = runfold("doctor", "--json", "--db", url).document
        if any(it["state"] == "refused" for it in document["sources"]):
            return document
        time.sleep(0.2)
    raise AssertionError("no source was refused")


def test_exported_events(filled: str, tmp_path: Path) -> None:
    lines = export_events(filled, tmp_path / "events.jsonl")
    topics = {topic for topic, *_ in public_surface.list_events().values() if topic}
    assert {line["topic"] for line in lines} == topics
    for line in lines:
        kind = e.EVENTS[line["topic"].partition("/")[0]]
        _, required, optional = public_surface.list_events()[kind.__name__]
        assert set(required) <= line["event"].keys() <= {*required, *optional}
        schema = make_validator("events.schema.json", kind.__name__)
        schema.validate(line)
        assert make_validator("events.schema.json").is_valid(line)
        assert_notices_other_fields(schema, line)
        assert_needs(schema, line, line, *line)
        assert_needs(schema, line, line["event"], *required)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 1),
        ("version", "2"),
        ("topic", "run.status_changed/2"),
        ("topic", "run.completed/1"),
        ("stream", "run_1"),
        ("event", []),
        ("observed_at", "yesterday"),
        ("observed_at", "2026-01-01T12:00:00"),
        ("inferred", None),
        ("status", 5),
    ],
)
def test_an_event_of_another_shape_is_noticed(name: str, value: object) -> None:
    event = {"observed_at": "2026-01-01T12:00:00Z", "previous": "queued", "status": "in_progress"}
    line: dict[str, Any] = {
        "stream": "assistants:run_1",
        "version": 2,
        "topic": "run.status_changed/1",
        "event": event,
    }
    schema = make_validator("events.schema.json")
    schema.validate(line)
    (line if name in line else event)[name] = value
    assert not schema.is_valid(line)


def test_exported_tables(filled: str, tmp_path: Path) -> None:
    assert runfold("export", tmp_path, "--all-tables", "--db", filled).code == 0
    files = sorted(tmp_path.glob("*.jsonl"))
    tables = make_schemas()["tables.schema.json"]["$defs"]
    assert {file.stem for file in files} == set(tables)
    for file in files:
        schema = make_validator("tables.schema.json", file.stem)
        rows = [json.loads(line) for line in file.read_bytes().splitlines()]
        assert rows, f"no row of {file.stem}"
        for row in rows:
            schema.validate(row)
        assert_notices_other_fields(schema, row)
        assert_needs(schema, row, row, *row)


SNAPSHOTS: list[dict[str, Any]] = [
    run_body(),
    {"body": run_body()},
    {"observed_at": None, "source": None, "body": run_body()},
    {"observed_at": 1_750_000_020.5, "body": run_body()},
    {"observed_at": "2025-06-15T15:07:00Z", "source": "ours", "body": run_body()},
    {"id": "resp_1", "object": "response", "status": "queued"},
    {"id": "turn_1", "object": "agent.session.turn", "session_id": "s", "status": "queued"},
    {"run_id": "run_1", "thread_id": "thread_1", "status": "pending"},
]
NO_SNAPSHOTS: list[object] = [
    [],
    {},
    {"id": "run_1"},
    {"status": "queued"},
    {"body": []},
    {"body": {"id": "run_1"}},
    {"observed_at": "yesterday", "body": run_body()},
    {"observed_at": "2025-06-15T15:07:00", "body": run_body()},
    {"source": 5, "body": run_body()},
]


@pytest.mark.parametrize("line", SNAPSHOTS)
def test_a_line_that_is_imported(line: object, tmp_path: Path) -> None:
    make_validator("import.schema.json").validate(line)
    done = runfold("import", write_lines(tmp_path / "a.jsonl", line), "--db", make_url(tmp_path))
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("line", NO_SNAPSHOTS)
def test_a_line_that_is_not_imported(line: object, tmp_path: Path) -> None:
    assert not make_validator("import.schema.json").is_valid(line)
    done = runfold("import", write_lines(tmp_path / "a.jsonl", line), "--db", make_url(tmp_path))
    assert done.code == 1


def test_a_field_beside_the_body_is_ignored_by_the_import_alone(tmp_path: Path) -> None:
    line = {"body": run_body(), "surprise": 1}
    assert not make_validator("import.schema.json").is_valid(line)
    done = runfold("import", write_lines(tmp_path / "a.jsonl", line), "--db", make_url(tmp_path))
    assert (done.code, done.err) == (0, "")


def test_an_exported_event_is_imported_and_no_snapshot(filled: str, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    lines = export_events(filled, file)
    assert not any(make_validator("import.schema.json").is_valid(line) for line in lines)
    done = runfold("import", file, "--db", make_url(tmp_path))
    assert (done.code, done.err) == (0, "")


def make_url(folder: Path) -> str:
    return f"sqlite:///{folder}/imported.db"
