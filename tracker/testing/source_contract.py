"""The contract of a source, as tests: for the sources here, and for one of your own."""

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
    ServedSource,
    Service,
    answered,
    as_json,
    closed,
    raised,
)

# More than two pages of a hundred, which is what services give at most.
_MANY = 250
_MOST_PAGES = 50
Listed = tuple[Answer, Sequence[Mapping[str, Any]], str | None]
Turn = Callable[[str | None], Awaitable[Listed]]


_NO_RUNS = (b"", b"{", b"[]", b"null", b'"text"', b"\xff")
_NO_SUCH_RUN = {"error": {"message": "No run found with that id.", "type": "invalid_request_error"}}


class SourceContract(ServedSource):
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
    id_field: ClassVar[str] = "id"
    steps: ClassVar[Sequence[Mapping[str, Any]]] = ()

    def served(self, path: str, body: Mapping[str, Any]) -> object:
        """What the service answers to a GET of `path` while it shows `body` of the run."""
        return body

    def listed(
        self, path: str, query: Mapping[str, str], entries: Sequence[Mapping[str, Any]]
    ) -> object:
        """What the service answers to a GET of a list, of which `entries` are all, oldest first."""
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

    def test_all_runs_of_a_thread_are_listed_once(self) -> None:
        ids, runs = self._many_runs()
        with self._serving(self._lists(runs)) as source:
            if not isinstance(source, RunListSource):
                return
            found = answered(source, _all(lambda after: source.fetch_runs(self._thread_id, after)))
        names = [entry["id"] for entry in found]
        # The oldest first, or where the service has no such order, the newest.
        assert names in (ids, ids[::-1])
        for entry in found:
            seen = self._snapshot(entry)
            assert (seen.run_id, seen.thread_id or "") == (entry["id"], self._thread_id)

    def test_a_page_shows_the_newest_runs_first(self) -> None:
        ids, runs = self._many_runs()
        for limit in (1, 7, 100):
            with self._serving(self._lists(runs)) as source:
                if not isinstance(source, PageSource):
                    return
                _, found = answered(source, source.fetch_page(self._thread_id, limit))
            assert [entry["id"] for entry in found] == ids[::-1][:limit]
            assert [self._snapshot(entry).run_id for entry in found] == ids[::-1][:limit]

    def test_all_steps_of_a_run_are_listed_once_the_oldest_first(self) -> None:
        if not isinstance(self._source, StepSource):
            return
        assert self.steps, "the source has `fetch_steps`: give a step of your service in `steps`"
        last = self.steps[-1]
        steps = [*self.steps, *({**last, "id": f"{last['id']}_{it}"} for it in range(_MANY))]
        with self._serving(self._lists(steps)) as source:
            assert isinstance(source, StepSource)
            ids = [source.steps_snapshot(step).step_id for step in steps]
            found = answered(
                source,
                _all(lambda after: source.fetch_steps(self._thread_id, self._run_id, after)),
            )
        assert [source.steps_snapshot(entry).step_id for entry in found] == ids
        assert source.steps_snapshot(as_json(last)) == source.steps_snapshot(last)

    def test_a_list_of_nothing_is_empty_and_ends(self) -> None:
        for ask in self._lists_of(self._source):
            with self._serving(self._lists([])) as source:
                answer, found, *after = answered(source, ask(source))
            assert list(found) == []
            assert after in ([], [None])
            assert answer.asked_at <= answer.observed_at

    def test_what_is_no_list_is_asked_for_again(self) -> None:
        for reply in (
            (200, "text/html", b"<html>"),
            (200, "application/json", b'{"hello": "world"}'),
            (200, "application/json", b'{"data": [{"id'),
            (429, "application/json", b"{}"),
            (503, "application/json", b"{}"),
        ):
            for ask in self._lists_of(self._source):
                with self._serving(_always(reply)) as source:
                    assert raised(PollAgain, answered, source, ask(source)), reply

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

    def _many_runs(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Ids of many runs that have ended, and their bodies, the oldest first."""
        ids = [f"{self._run_id}-{number}" for number in range(_MANY)]
        return ids, [{**self.bodies[-1], self.id_field: name} for name in ids]

    def _lists(self, entries: Sequence[Mapping[str, Any]]) -> Service:
        def reply(path: str, query: Mapping[str, str]) -> Reply:
            return 200, "application/json", as_json(self.listed(path, query, entries))

        return reply

    def _lists_of(self, source: Source) -> list[Callable[[Any], Any]]:
        """The lists that a source has, each to be asked for."""
        thread, run = self._thread_id, self._run_id
        asks: list[Callable[[Any], Any]] = []
        if isinstance(source, PageSource):
            asks.append(lambda it: it.fetch_page(thread, 10))
        if isinstance(source, RunListSource):
            asks.append(lambda it: it.fetch_runs(thread))
        if isinstance(source, StepSource):
            asks.append(lambda it: it.fetch_steps(thread, run))
        return asks


def _always(reply: Reply) -> Service:
    return lambda path, query: reply


async def _all(turn: Turn) -> list[Mapping[str, Any]]:
    """All entries of a list, page by page."""
    found: list[Mapping[str, Any]] = []
    after: str | None = None
    passed: set[str] = set()
    for _ in range(_MOST_PAGES):
        answer, entries, after = await turn(after)
        assert answer.asked_at >= START
        found += entries
        if after is None:
            return found
        assert after not in passed, f"the list goes on after {after!r} again"
        passed.add(after)
    raise AssertionError(f"the list does not end within {_MOST_PAGES} pages")
