"""The contract of a source, as tests for pytest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from tracker.core.decider import decide, fold
from tracker.core.events import Event
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState, evolve, initial_state
from tracker.core.status import is_ended
from tracker.errors import NotFound, PayloadError, PollAgain, StopPolling
from tracker.sources.answer import Answer
from tracker.sources.source import PageSource, RunListSource, Source, StepSource
from tracker.testing.source_server import (
    START,
    Reply,
    Service,
    SourceUnderTest,
    close_after,
    raises,
    run_call,
    to_json,
)

# More than two pages of a hundred, the longest that services send.
_MANY = 250
_MAX_PAGES = 50

# A page of a list: its answer, its entries, and where the next page begins.
ListPage = tuple[Answer, Sequence[Mapping[str, Any]], str | None]
FetchPage = Callable[[str | None], Awaitable[ListPage]]

_NO_RUNS = (b"", b"{", b"[]", b"null", b'"text"', b"\xff")
_NO_SUCH_RUN = {"error": {"message": "No run found with that id.", "type": "invalid_request_error"}}


class SourceContract(SourceUnderTest):
    """The contract of a source. Subclass it in your tests, and pytest runs them.

    Set `bodies`, all responses about one run from the first poll to its end, and `outcome`;
    override `source_at`, and `served` if the source requests more than the run.

    A source that lists runs or steps is tested for that too: override `listed` if the lists differ
    from OpenAI's, and set `steps`.
    """

    # The status of `tracker.core.status` that the run ends with.
    outcome: ClassVar[str]
    # The fields of a body with the status and the id of the run.
    status_field: ClassVar[str] = "status"
    id_field: ClassVar[str] = "id"
    # At least one step as the service sends it, if the source reads steps.
    steps: ClassVar[Sequence[Mapping[str, Any]]] = ()

    def served(self, path: str, body: Mapping[str, Any]) -> object:
        """Returns the response to a GET of `path` while the run is in the state of `body`."""
        return body

    def listed(
        self, path: str, query: Mapping[str, str], entries: Sequence[Mapping[str, Any]]
    ) -> object:
        """Returns the response to a GET of a list; `entries` are all of it, oldest first."""
        shown = list(entries) if query.get("order") == "asc" else list(reversed(entries))
        ids = [entry["id"] for entry in shown]
        first = ids.index(query["after"]) + 1 if "after" in query else 0
        last = first + int(query.get("limit", 20))
        return {
            "object": "list",
            "data": shown[first:last],
            "last_id": ids[:last][-1] if shown[first:last] else None,
            "has_more": last < len(shown),
        }

    def test_it_has_a_name(self) -> None:
        assert 0 < len(self._source.name) <= 64
        assert ":" not in self._source.name

    def test_it_recognises_its_own_runs_only(self) -> None:
        assert all(self._source.recognises(body) for body in self.bodies)
        for stranger in ({}, {"hello": "world"}, {"object": "list", "data": []}):
            assert not self._source.recognises(stranger)

    def test_bytes_and_objects_are_the_same_snapshot(self) -> None:
        for body in self.bodies:
            assert self._snapshot(to_json(body)) == self._snapshot(body)

    def test_a_snapshot_has_the_source_and_the_times(self) -> None:
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
            assert self._source.glance(again) == self._source.glance(to_json(body))
            for other in self.bodies:
                if self._source.glance(to_json(body)) == self._source.glance(to_json(other)):
                    assert self._snapshot(body) == self._snapshot(other)

    def test_other_documents_are_payload_errors(self) -> None:
        for body in (*_NO_RUNS, b"{}"):
            assert raises(PayloadError, self._snapshot, body), body
        for body in _NO_RUNS:
            assert raises(PayloadError, self._source.glance, body), body

    def test_an_unknown_status_is_kept_and_does_not_end_the_run(self) -> None:
        seen = self._snapshot({**self.bodies[0], self.status_field: "never_heard_of"})
        assert seen.status == "never_heard_of"
        assert not is_ended(seen.status)

    def test_observing_twice_is_observing_once(self) -> None:
        state = initial_state
        for snapshot in self._poll_snapshots():
            state = fold(decide(state, snapshot), state)
            assert decide(state, snapshot) == []
        assert state.status == self.outcome

    def test_an_old_document_changes_nothing(self) -> None:
        state = self._final_state()
        for snapshot in self._poll_snapshots():
            assert decide(state, snapshot.model_copy(update={"asked_at": None})) == []

    def test_the_decided_events_are_the_history(self) -> None:
        events: list[Event] = []
        for snapshot in self._poll_snapshots():
            events += decide(fold(events), snapshot)
        state = initial_state
        for event in events:
            assert not state.is_ended, "an event follows the end"
            state = evolve(state, event)
        assert state == self._final_state()

    def test_it_fetches_the_run(self) -> None:
        for body in self.bodies:
            with self._serve(partial(self._respond, body)) as source:
                first = self._fetch(source)
                again = self._fetch(source, known=first.body)
            seen = source.snapshot(first.body, observed_at=START)
            assert (seen.run_id, seen.status) == (self._run_id, self._snapshot(body).status)
            assert first.asked_at <= first.observed_at
            assert source.glance(again.body) == source.glance(first.body)

    def test_a_response_with_another_id_is_noticed(self) -> None:
        with self._serve(partial(self._respond, self.bodies[0])) as source:
            call = close_after(source, source.fetch(self._thread_id, f"{self._run_id}0"))
            try:
                answer = asyncio.run(call)
            except PollAgain:
                return
            assert answer.given_id == self._run_id

    def test_a_failing_service_is_polled_again(self) -> None:
        for reply in (
            (500, "application/json", b"{}"),
            (429, "application/json", b"{}"),
            (200, "text/html", b"<html>"),
            (200, "application/json", b'{"id": "'),
        ):
            assert raises(PollAgain, self._fetch_response, reply), reply

    def test_permanent_errors_stop_polling(self) -> None:
        missing = (404, "application/json", to_json(_NO_SUCH_RUN))
        assert raises(NotFound, self._fetch_response, missing)
        refused = (401, "application/json", b"{}")
        assert raises(StopPolling, self._fetch_response, refused)

    def test_all_runs_of_a_thread_are_listed_once(self) -> None:
        ids, runs = self._make_runs()
        with self._serve(self._serve_list(runs)) as source:
            if not isinstance(source, RunListSource):
                return
            found = run_call(
                source, _fetch_all(lambda after: source.fetch_runs(self._listed_thread_id, after))
            )
        names = [entry["id"] for entry in found]
        # Oldest first, or newest first if the service has no other order.
        assert names in (ids, ids[::-1])
        for entry in found:
            seen = self._snapshot(entry)
            assert (seen.run_id, seen.thread_id) == (entry["id"], self._thread_id)

    def test_a_page_shows_the_newest_runs_first(self) -> None:
        ids, runs = self._make_runs()
        for limit in (1, 7, 100):
            with self._serve(self._serve_list(runs)) as source:
                if not isinstance(source, PageSource):
                    return
                _, found = run_call(source, source.fetch_page(self._listed_thread_id, limit))
            assert [entry["id"] for entry in found] == ids[::-1][:limit]
            assert [self._snapshot(entry).run_id for entry in found] == ids[::-1][:limit]

    def test_all_steps_of_a_run_are_listed_once_the_oldest_first(self) -> None:
        if not isinstance(self._source, StepSource):
            return
        assert self.steps, "the source has `fetch_steps`: give a step of your service in `steps`"
        last = self.steps[-1]
        steps = [*self.steps, *({**last, "id": f"{last['id']}_{it}"} for it in range(_MANY))]
        with self._serve(self._serve_list(steps)) as source:
            assert isinstance(source, StepSource)
            ids = [source.steps_snapshot(step).step_id for step in steps]
            found = run_call(
                source,
                _fetch_all(lambda after: source.fetch_steps(self._thread_id, self._run_id, after)),
            )
        assert [source.steps_snapshot(entry).step_id for entry in found] == ids
        assert source.steps_snapshot(to_json(last)) == source.steps_snapshot(last)

    def test_an_empty_list_ends(self) -> None:
        for call in self._list_calls(self._source):
            with self._serve(self._serve_list([])) as source:
                answer, found, *after = run_call(source, call(source))
            assert list(found) == []
            assert after in ([], [None])
            assert answer.asked_at <= answer.observed_at

    def test_a_response_that_is_not_a_list_is_polled_again(self) -> None:
        for reply in (
            (200, "text/html", b"<html>"),
            (200, "application/json", b'{"hello": "world"}'),
            (200, "application/json", b'{"data": [{"id'),
            (429, "application/json", b"{}"),
            (503, "application/json", b"{}"),
        ):
            for call in self._list_calls(self._source):
                with self._serve(_respond_with(reply)) as source:
                    assert raises(PollAgain, run_call, source, call(source)), reply

    def _poll_snapshots(self) -> list[RunSnapshot]:
        """Returns the snapshots of polls ten seconds apart, later than the stamps in the bodies."""
        last = self._snapshot(self.bodies[-1])
        start = max(START, last.ended_at or START, last.created_at or START)
        return [
            self._source.snapshot(
                body,
                observed_at=start + timedelta(seconds=10 * number + 1),
                asked_at=start + timedelta(seconds=10 * number),
            )
            for number, body in enumerate(self.bodies, start=1)
        ]

    def _respond(self, body: Mapping[str, Any], path: str, query: Mapping[str, str]) -> Reply:
        return 200, "application/json", to_json(self.served(path, body))

    def _final_state(self) -> RunState:
        state = initial_state
        for snapshot in self._poll_snapshots():
            state = fold(decide(state, snapshot), state)
        return state

    def _fetch(self, source: Source, known: bytes | None = None) -> Answer:
        return run_call(source, source.fetch(self._thread_id, self._run_id, known))

    def _fetch_response(self, reply: Reply) -> Answer:
        with self._serve(lambda path, query: reply) as source:
            return self._fetch(source)

    def _make_runs(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Returns the ids and bodies of many ended runs, the oldest first."""
        ids = [f"{self._run_id}-{number}" for number in range(_MANY)]
        return ids, [{**self.bodies[-1], self.id_field: name} for name in ids]

    def _serve_list(self, entries: Sequence[Mapping[str, Any]]) -> Service:
        def reply(path: str, query: Mapping[str, str]) -> Reply:
            return 200, "application/json", to_json(self.listed(path, query, entries))

        return reply

    def _list_calls(self, source: Source) -> list[Callable[[Any], Any]]:
        """Returns a call for each list that the source offers."""
        thread, run = self._thread_id, self._run_id
        calls: list[Callable[[Any], Any]] = []
        if isinstance(source, PageSource):
            calls.append(lambda it: it.fetch_page(thread, 10))
        if isinstance(source, RunListSource):
            calls.append(lambda it: it.fetch_runs(thread))
        if isinstance(source, StepSource):
            calls.append(lambda it: it.fetch_steps(thread, run))
        return calls


def _respond_with(reply: Reply) -> Service:
    return lambda path, query: reply


async def _fetch_all(fetch_page: FetchPage) -> list[Mapping[str, Any]]:
    """Fetches all entries of a list, page by page."""
    found: list[Mapping[str, Any]] = []
    after: str | None = None
    cursors: set[str] = set()
    for _ in range(_MAX_PAGES):
        answer, entries, after = await fetch_page(after)
        assert answer.asked_at >= START
        found += entries
        if after is None:
            return found
        assert after not in cursors, f"the list continues after {after!r} a second time"
        cursors.add(after)
    raise AssertionError(f"the list does not end within {_MAX_PAGES} pages")
