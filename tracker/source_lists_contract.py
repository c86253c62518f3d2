"""The contract of a source that lists: runs of a thread, and steps of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from tracker.errors import PollAgain
from tracker.served_source import START, Reply, ServedSource, Service, answered, as_json, raised
from tracker.sources.answer import Answer
from tracker.sources.source import PageSource, RunListSource, Source, StepSource

# More than two pages of a hundred, which is what services give at most.
_MANY = 250
_MOST_PAGES = 50

Listed = tuple[Answer, Sequence[Mapping[str, Any]], str | None]
Turn = Callable[[str | None], Awaitable[Listed]]


class SourceListsContract(ServedSource):
    """What a source does that has `fetch_page`, `fetch_runs` or `fetch_steps`; others do nothing.

    `id_field` names where a run holds its id. `steps` are steps of the run, one is enough.
    """

    id_field: ClassVar[str] = "id"
    steps: ClassVar[Sequence[Mapping[str, Any]]] = ()

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


def _always(reply: Reply) -> Service:
    return lambda path, query: reply
