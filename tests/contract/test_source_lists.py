"""Sources with wrong lists, which the contract has to detect."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from tests.support.assistants_contract import AssistantsContract
from tests.support.payload_bodies import STEP
from tracker.errors import PollAgain
from tracker.sources import Answer, Assistants, Source
from tracker.testing import SourceContract

Listed = tuple[Answer, Sequence[Mapping[str, Any]], str | None]
Page = tuple[Answer, Sequence[Mapping[str, Any]]]


class Stopping(Assistants):
    """Ends after the first page."""

    async def fetch_runs(self, thread_id: str, after: str | None = None) -> Listed:
        answer, runs, _ = await super().fetch_runs(thread_id, after)
        return answer, runs, None

    async def fetch_steps(self, thread_id: str, run_id: str, after: str | None = None) -> Listed:
        answer, steps, _ = await super().fetch_steps(thread_id, run_id, after)
        return answer, steps, None


class Repeating(Assistants):
    """Repeats the first page."""

    async def fetch_runs(self, thread_id: str, after: str | None = None) -> Listed:
        return await super().fetch_runs(thread_id)

    async def fetch_steps(self, thread_id: str, run_id: str, after: str | None = None) -> Listed:
        return await super().fetch_steps(thread_id, run_id)


class Turned(Assistants):
    """Returns each page in reverse order."""

    async def fetch_page(self, thread_id: str, limit: int) -> Page:
        answer, runs = await super().fetch_page(thread_id, limit)
        return answer, runs[::-1]

    async def fetch_runs(self, thread_id: str, after: str | None = None) -> Listed:
        answer, runs, more = await super().fetch_runs(thread_id, after)
        return answer, runs[::-1], more

    async def fetch_steps(self, thread_id: str, run_id: str, after: str | None = None) -> Listed:
        answer, steps, more = await super().fetch_steps(thread_id, run_id, after)
        return answer, steps[::-1], more


class Renaming(Assistants):
    """Returns the runs with wrong ids."""

    async def fetch_page(self, thread_id: str, limit: int) -> Page:
        answer, runs = await super().fetch_page(thread_id, limit)
        return answer, [{**run, "id": f"the {run['id']}"} for run in runs]

    async def fetch_runs(self, thread_id: str, after: str | None = None) -> Listed:
        answer, runs, more = await super().fetch_runs(thread_id, after)
        return answer, [{**run, "id": f"the {run['id']}"} for run in runs], more


class Forgiving(Assistants):
    """Accepts any answer as an empty list."""

    async def fetch_page(self, thread_id: str, limit: int) -> Page:
        try:
            return await super().fetch_page(thread_id, limit)
        except PollAgain:
            now = self._transport._clock.now()
            return Answer(b"", 200, now, now), []


class Greedy(Assistants):
    """Returns more runs than requested."""

    async def fetch_page(self, thread_id: str, limit: int) -> Page:
        return await super().fetch_page(thread_id, limit + 1)


class Lists(AssistantsContract):
    kind: ClassVar[type[Assistants]] = Assistants
    __test__ = False

    def source_at(self, base_url: str) -> Source:
        return self.kind(base_url)


ALL = "test_all_runs_of_a_thread_are_listed_once"
NEWEST = "test_a_page_shows_the_newest_runs_first"
STEPS = "test_all_steps_of_a_run_are_listed_once_the_oldest_first"


@pytest.mark.parametrize(
    ("kind", "fails"),
    [
        (Assistants, set()),
        (Stopping, {ALL, STEPS}),
        (Repeating, {ALL, STEPS}),
        (Turned, {ALL, NEWEST, STEPS}),
        (Renaming, {ALL, NEWEST}),
        (Greedy, {NEWEST}),
        (Forgiving, {"test_a_response_that_is_not_a_list_is_polled_again"}),
    ],
)
def test_who_lists_badly_is_told(kind: type[Assistants], fails: set[str]) -> None:
    contract = type("OfKind", (Lists,), {"kind": kind})()
    failed = set()
    for name in dir(SourceContract):
        if "list" in name or "page" in name:
            try:
                getattr(contract, name)() if name.startswith("test_") else None
            except AssertionError:
                failed.add(name)
    assert failed == fails


def test_a_source_with_steps_has_to_show_one() -> None:
    bare = type("Bare", (Lists,), {"steps": ()})()
    with pytest.raises(AssertionError, match="give a step of your service"):
        getattr(bare, STEPS)()
    assert Lists.steps == (STEP,)
