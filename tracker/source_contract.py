"""The contract of a source, as tests: for the sources here, and for one of your own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from tracker.core.decider import decide, evolve, fold, initial_state
from tracker.core.events import Event
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState
from tracker.core.status import is_ended
from tracker.errors import NotFound, PayloadError, PollAgain, StopPolling
from tracker.served_source import START, Reply, answered, as_json, closed, raised
from tracker.source_lists_contract import SourceListsContract
from tracker.sources.answer import Answer
from tracker.sources.source import Source

_NO_RUNS = (b"", b"{", b"[]", b"null", b'"text"', b"\xff")
_NO_SUCH_RUN = {"error": {"message": "No run found with that id.", "type": "invalid_request_error"}}


class SourceContract(SourceListsContract):
    """What every source does. Subclass it in your tests, and pytest runs them.

    `bodies` is one run as the service showed it, time after time, from the first look to its end,
    and `outcome` the status that it ends with, in our words. `status_field` names where a body
    holds its status, and `id_field` where it holds its id. `source_at` makes the source; override
    `served` where it asks for more than the run.

    A source that lists runs or steps is held to that too: override `listed` where the lists are
    not as OpenAI's are, and give in `steps` one step, as the service shows it.
    """

    outcome: ClassVar[str]
    status_field: ClassVar[str] = "status"

    def served(self, path: str, body: Mapping[str, Any]) -> object:
        """What the service answers to a GET of `path` while it shows `body` of the run."""
        return body

    def test_it_has_a_name(self) -> None:
        assert 0 < len(self._source.name) <= 64
        assert ":" not in self._source.name

    def test_it_recognises_its_runs_and_no_strangers(self) -> None:
        assert all(self._source.recognises(body) for body in self.bodies)
        for stranger in ({}, {"hello": "world"}, {"object": "list", "data": []}):
            assert not self._source.recognises(stranger)

    def test_bytes_and_objects_are_the_same_snapshot(self) -> None:
        for body in self.bodies:
            assert self._snapshot(as_json(body)) == self._snapshot(body)

    def test_a_snapshot_says_whose_it_is_and_hands_the_moments_on(self) -> None:
        for body in self.bodies:
            seen = self._source.snapshot(
                body,
                observed_at=START + timedelta(seconds=2),
                asked_at=START + timedelta(seconds=1),
                unchanged_until=START,
            )
            assert seen.source == self._source.name
            moments = (seen.unchanged_until, seen.asked_at, seen.observed_at)
            assert moments == tuple(START + timedelta(seconds=second) for second in range(3))

    def test_the_bodies_are_of_one_run_that_ends(self) -> None:
        snapshots = [self._snapshot(body) for body in self.bodies]
        assert len({(seen.run_id, seen.thread_id) for seen in snapshots}) == 1
        assert snapshots[-1].status == self.outcome

    def test_equal_glances_are_equal_snapshots(self) -> None:
        for body in self.bodies:
            again = json.dumps(body, indent=1).encode()
            assert self._source.glance(again) == self._source.glance(as_json(body))
            for other in self.bodies:
                if self._source.glance(as_json(body)) == self._source.glance(as_json(other)):
                    assert self._snapshot(body) == self._snapshot(other)

    def test_what_is_no_run_is_refused(self) -> None:
        for body in (*_NO_RUNS, b"{}"):
            assert raised(PayloadError, self._snapshot, body), body
        for body in _NO_RUNS:
            assert raised(PayloadError, self._source.glance, body), body

    def test_a_status_that_nobody_knows_is_kept_and_ends_nothing(self) -> None:
        seen = self._snapshot({**self.bodies[0], self.status_field: "never_heard_of"})
        assert seen.status == "never_heard_of"
        assert not is_ended(seen.status)

    def test_observing_twice_is_observing_once(self) -> None:
        state = initial_state
        for look in self._looks():
            state = fold(decide(state, look), state)
            assert decide(state, look) == []
        assert state.status == self.outcome

    def test_an_old_document_changes_nothing(self) -> None:
        state = self._followed()
        for look in self._looks():
            assert decide(state, look.model_copy(update={"asked_at": None})) == []

    def test_what_was_decided_is_the_history(self) -> None:
        events: list[Event] = []
        for look in self._looks():
            events += decide(fold(events), look)
        state = initial_state
        for event in events:
            assert not state.is_ended, "something happened after the end"
            state = evolve(state, event)
        assert state == self._followed()

    def test_it_fetches_the_run_as_it_is_shown(self) -> None:
        for body in self.bodies:
            with self._serving(partial(self._shown, body)) as source:
                first = self._fetched(source)
                again = self._fetched(source, known=first.body)
            seen = source.snapshot(first.body, observed_at=START)
            assert (seen.run_id, seen.status) == (self._run_id, self._snapshot(body).status)
            assert first.asked_at <= first.observed_at
            assert source.glance(again.body) == source.glance(first.body)

    def test_another_run_is_no_answer(self) -> None:
        with self._serving(partial(self._shown, self.bodies[0])) as source:
            asking = closed(source, source.fetch(self._thread_id, f"{self._run_id}0"))
            assert raised(PollAgain, asyncio.run, asking)

    def test_trouble_of_the_service_is_no_end_of_the_run(self) -> None:
        for reply in (
            (500, "application/json", b"{}"),
            (429, "application/json", b"{}"),
            (200, "text/html", b"<html>"),
            (200, "application/json", b'{"id": "'),
        ):
            assert raised(PollAgain, self._fetch_of, reply), reply

    def test_what_somebody_has_to_change_is_told_apart(self) -> None:
        missing = (404, "application/json", as_json(_NO_SUCH_RUN))
        assert raised(NotFound, self._fetch_of, missing)
        refused = (401, "application/json", b"{}")
        assert raised(StopPolling, self._fetch_of, refused)

    def _looks(self) -> list[RunSnapshot]:
        """The bodies as polls ten seconds apart, after the moments that they tell of."""
        last = self._snapshot(self.bodies[-1])
        begin = max(START, last.ended_at or START, last.created_at or START)
        return [
            self._source.snapshot(
                body,
                observed_at=begin + timedelta(seconds=10 * number + 1),
                asked_at=begin + timedelta(seconds=10 * number),
            )
            for number, body in enumerate(self.bodies, start=1)
        ]

    def _shown(self, body: Mapping[str, Any], path: str, query: Mapping[str, str]) -> Reply:
        return 200, "application/json", as_json(self.served(path, body))

    def _followed(self) -> RunState:
        state = initial_state
        for look in self._looks():
            state = fold(decide(state, look), state)
        return state

    def _fetched(self, source: Source, known: bytes | None = None) -> Answer:
        asking = source.fetch(self._thread_id, self._run_id, known)
        return answered(source, asking)

    def _fetch_of(self, reply: Reply) -> Answer:
        with self._serving(lambda path, query: reply) as source:
            return self._fetched(source)
