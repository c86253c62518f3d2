"""Recorded runs and steps as snapshots; skipped without the corpus."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.corpus import FOLDER as CORPUS
from tracker.sources.assistants.snapshots import glance, run_snapshot, step_snapshot

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def read_bodies(kinds: str) -> Iterator[dict[str, Any]]:
    """Yields each body of a kind in the corpus; skips the test without the corpus."""
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}")
    for name in ("runs.jsonl", "traces.jsonl", "sequences.jsonl"):
        for line in (CORPUS / name).read_text().splitlines():
            entry = json.loads(line)
            if name == "sequences.jsonl":
                entry = {"items": [{"kind": "run", "body": sent} for sent in entry["snapshots"]]}
            for item in entry.get("items", [entry]):
                if item["kind"] == kinds:
                    yield item["body"]
                elif item["kind"] == f"{kinds.removeprefix('run_')}_list":
                    yield from item["body"]["data"]


def test_every_recorded_run_is_a_run() -> None:
    bodies = list(read_bodies("run"))
    assert len(bodies) > 500
    for sent in bodies:
        seen = run_snapshot(json.dumps(sent).encode(), "assistants", observed_at=NOW)
        assert seen == run_snapshot(sent, "assistants", observed_at=NOW)
        assert (seen.run_id, seen.status) == (sent["id"], sent["status"])
        assert seen.thread_id == sent.get("thread_id")
        assert (seen.metadata or {}) == (sent.get("metadata") or {})
        assert (seen.usage is None) == (sent.get("usage") is None)
        assert len(glance(json.dumps(sent).encode())) >= 2
        if seen.configuration:
            assert list(seen.configuration.tools or ()) == sent.get("tools", [])
        if sent["status"] == "requires_action" and sent.get("required_action"):
            calls = sent["required_action"]["submit_tool_outputs"]["tool_calls"]
            assert [call.id for call in seen.tool_calls] == [call["id"] for call in calls]


def test_every_recorded_step_is_a_step() -> None:
    steps = [step_snapshot(sent) for sent in read_bodies("run_step")]
    assert len(steps) > 150
    assert all(step.ended_at for step in steps if step.status == "completed")
