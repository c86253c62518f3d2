"""Recorded payloads of real services, imported like a user's files."""

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from tests.support.corpus import lines, needs_corpus
from tracker import open_event_store
from tracker.cli.import_ import import_files
from tracker.core.decider import decide, fold
from tracker.core.events import Event, RunActionRequired, RunCreated, RunEnded, RunStatusChanged
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import initial_state
from tracker.sources.assistants.snapshots import run_snapshot, step_snapshot

pytestmark = [pytest.mark.integration, needs_corpus]

TRANSITIONS = (RunCreated, RunStatusChanged, RunActionRequired, RunEnded)
SEQUENCES = [line for line in lines("sequences.jsonl") if line["order"] == "recorded"]
ENDED = {"completed", "failed", "cancelled", "expired", "incomplete"}


def wrap_lines(sequence: dict[str, Any]) -> Iterator[str]:
    """Yields the lines of a file to import, with the known times of observation."""
    for body, http in zip(sequence["snapshots"], sequence["http"], strict=True):
        date = (http or {}).get("date")
        # A stream's header dates its beginning, not each of its events.
        if date and sequence["via"] != "sse":
            moment = parsedate_to_datetime(date).isoformat()
            yield json.dumps({"observed_at": moment, "source": "assistants", "body": body})
        else:
            yield json.dumps(body)


def transitions(database_url: str) -> int:
    store = open_event_store(database_url)
    recorded = store.read_all(limit=100_000)
    store.close()
    return sum(isinstance(entry.event, TRANSITIONS) for entry in recorded)


def test_recorded_sequences_end_as_they_ended(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "sequences.jsonl"
    file.write_text("".join(f"{line}\n" for s in SEQUENCES for line in wrap_lines(s)))
    assert import_files(database_url, [file], source="assistants")
    with Views(database_url) as views:
        for sequence in SEQUENCES:
            last = sequence["snapshots"][-1]
            row = views.run(sequence["run_id"])
            assert row.status == last["status"]
            assert row.outcome == (last["status"] if last["status"] in ENDED else None)
            end = last.get("completed_at") or last.get("failed_at") or last.get("cancelled_at")
            assert (row.ended_at and row.ended_at.timestamp()) == end
            usage = last.get("usage") or {}
            for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
                assert getattr(row, name) == usage.get(name)

        before = transitions(database_url)
        import_files(database_url, [file], source="assistants")
        assert transitions(database_url) == before

        rng = random.Random(1)
        ended = [s for s in SEQUENCES if s["snapshots"][-1]["status"] in ENDED]
        for _ in range(3):
            shuffled = [
                line for s in ended for line in rng.sample(list(wrap_lines(s)), len(s["http"]))
            ]
            file.write_text("".join(f"{line}\n" for line in shuffled))
            import_files(database_url, [file], source="assistants")
            assert transitions(database_url) == before


def test_files_without_times_give_phases_within_the_stamps(tmp_path: Path) -> None:
    file = tmp_path / "undated.jsonl"
    bodies = [body for sequence in SEQUENCES for body in sequence["snapshots"]]
    file.write_text("".join(f"{json.dumps(body)}\n" for body in bodies))
    url = f"sqlite:///{tmp_path}/runs.db"
    assert import_files(url, [file], source="assistants")
    with Views(url) as views:
        ended = [row for row in views.runs(limit=None) if row.ended_at]
        assert any(row.action_at_least_seconds is not None for row in ended)
        for row in ended:
            phases = views.phases(row.run_id)
            assert row.ended_at is not None
            assert row.ended_at <= phases[-1].left_at < row.ended_at + timedelta(seconds=1)
            known = [phase.seconds for phase in phases]
            if None not in known:
                assert sum(known) == pytest.approx(row.total_seconds, abs=1e-6)
            for phase in phases:
                assert phase.basis != "disputed"
                assert row.created_at <= phase.entered_at <= phase.left_at
                assert phase.at_least_seconds <= (phase.seconds or phase.at_least_seconds)
                assert phase.at_most_seconds <= row.total_at_most_seconds


def test_all_recorded_runs_are_accepted_as_they_are(tmp_path: Path) -> None:
    bodies = [line["body"] for line in lines("runs.jsonl") if line["kind"] == "run"]
    assert len(bodies) == 181
    file = tmp_path / "runs.jsonl"
    file.write_text("".join(f"{json.dumps(body)}\n" for body in bodies))
    url = f"sqlite:///{tmp_path}/runs.db"
    assert import_files(url, [file], source="assistants")
    with Views(url) as views:
        found = {row.run_id: row for row in views.runs(limit=None)}
    assert set(found) == {body["id"] for body in bodies}
    for body in bodies:
        snapshot = run_snapshot(body, "assistants", observed_at=found[body["id"]].first_seen_at)
        assert snapshot.status == body["status"]
        assert snapshot.model == body.get("model")
        assert (snapshot.metadata or {}) == (body.get("metadata") or {})
        tools = [tool["type"] for tool in body.get("tools") or ()]
        configured = snapshot.configuration.tools if snapshot.configuration else None
        assert [tool["type"] for tool in configured or ()] == tools


def test_all_recorded_steps_are_accepted() -> None:
    for line in lines("runs.jsonl"):
        if line["kind"] == "run_step":
            assert step_snapshot(line["body"]).step_id == line["body"]["id"]
        elif line["kind"] == "step_list":
            for step in line["body"]["data"]:
                step_snapshot(step)


@pytest.mark.parametrize("sequence", SEQUENCES, ids=[s["run_id"] for s in SEQUENCES])
def test_the_laws_hold_for_what_was_recorded(sequence: dict[str, Any]) -> None:
    looks: list[RunSnapshot] = []
    for number, body in enumerate(sequence["snapshots"]):
        document = run_snapshot(
            body, "assistants", observed_at=parsedate_to_datetime("Fri, 31 Oct 2025 00:00:00 GMT")
        )
        moment = document.observed_at.replace(microsecond=number + 1)
        looks.append(document.model_copy(update={"observed_at": moment, "asked_at": moment}))
    state, decided = initial_state, list[Event]()
    for look in looks:
        events = decide(state, look)
        decided += events
        state = fold(events, state)
        assert decide(state, look) == []
        assert not [e for e in events if e.topic == "run.anomaly_observed"]
    assert fold(decided) == state
    assert state.status == sequence["snapshots"][-1]["status"]
    seen = [status for status in sequence["statuses"] if status != "queued"]
    recorded = [
        event.status
        for event in decided
        if isinstance(event, RunStatusChanged | RunEnded) and not event.inferred
    ]
    assert set(seen) - {"requires_action"} == set(recorded) - {"queued"}
    for look in looks:
        assert decide(state, look.model_copy(update={"asked_at": None})) == []
