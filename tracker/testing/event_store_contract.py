"""The contract of an event store, as tests for pytest."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tracker.core.events import Event, RunStatusChanged
from tracker.errors import ConcurrencyError, StoreUnavailable
from tracker.event_store.store import Append, EventStore


class EventStoreContract:
    """The contract of an event store. Subclass it with a fixture `store`: an empty store."""

    def test_an_empty_store_has_no_events(self, store: EventStore) -> None:
        assert store.read("a:1") == []
        assert store.read_all() == []
        assert store.last_position() == 0

    def test_a_stream_reads_back_in_order_from_version_1(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(2))])
        store.append([Append("a:1", 2, _events(1, start=2))])
        recorded = store.read("a:1")
        assert [entry.version for entry in recorded] == [1, 2, 3]
        assert [entry.event for entry in recorded] == _events(3)
        assert [entry.version for entry in store.read("a:1", after=2)] == [3]

    def test_all_streams_read_in_one_order_in_pages(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(2)), Append("a:2", 0, _events(1))])
        store.append([Append("a:1", 2, _events(1))])
        everything = store.read_all()
        places = [(entry.stream, entry.version) for entry in everything]
        assert places == [("a:1", 1), ("a:1", 2), ("a:2", 1), ("a:1", 3)]
        positions = [entry.position for entry in everything]
        assert positions == sorted(set(positions))
        assert store.last_position() == positions[-1]
        first = store.read_all(limit=3)
        assert first + store.read_all(after=first[-1].position) == everything

    def test_several_streams_read_at_once(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(2)), Append("a:2", 0, _events(1))])
        store.append([Append("a:1", 2, _events(1, start=2))])
        found = store.read_many(["a:1", "a:2", "a:3"])
        assert found == {stream: store.read(stream) for stream in ("a:1", "a:2", "a:3")}
        assert store.read_many([]) == {}

    def test_a_version_that_exists_is_a_conflict(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(2))])
        _assert_conflict(store, [Append("a:1", 0, _events(1))])
        _assert_conflict(store, [Append("a:1", 1, _events(1))])
        assert len(store.read("a:1")) == 2

    def test_a_gap_is_a_conflict(self, store: EventStore) -> None:
        _assert_conflict(store, [Append("a:1", 1, _events(1))])
        store.append([Append("a:1", 0, _events(1))])
        _assert_conflict(store, [Append("a:1", 2, _events(1))])
        _assert_conflict(store, [Append("a:2", 0, _events(1)), Append("a:2", 2, _events(1))])
        assert (len(store.read("a:1")), store.read("a:2")) == (1, [])

    def test_a_batch_is_all_or_nothing(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(1))])
        _assert_conflict(store, [Append("a:2", 0, _events(3)), Append("a:1", 0, _events(1))])
        _assert_conflict(store, [Append("a:2", 0, _events(3)), Append("a:1", 7, _events(1))])
        assert store.read("a:2") == []
        store.append([Append("a:2", 0, _events(3)), Append("a:1", 1, _events(1))])
        assert (len(store.read("a:1")), len(store.read("a:2"))) == (2, 3)

    def test_an_append_can_be_repeated_after_a_conflict(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(1))])
        _assert_conflict(store, [Append("a:1", 0, _events(1))])
        store.append([Append("a:1", len(store.read("a:1")), _events(1))])
        assert [entry.version for entry in store.read("a:1")] == [1, 2]

    def test_an_append_of_no_events_does_nothing(self, store: EventStore) -> None:
        store.append([])
        store.append([Append("a:1", 0, [])])
        assert store.last_position() == 0

    def test_a_wait_ends_at_once_if_there_is_an_event(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(3))])
        began = time.monotonic()
        assert store.wait(0, 30)
        assert store.wait(store.last_position() - 1, 30)
        assert time.monotonic() - began < 5

    def test_a_wait_ends_in_time_if_there_is_none(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(3))])
        for timeout in (-1.0, 0.0, 0.3):
            began = time.monotonic()
            assert not store.wait(store.last_position(), timeout)
            assert timeout <= time.monotonic() - began < timeout + 5

    def test_an_append_wakes_all_waiting_threads(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(1))])
        with ThreadPoolExecutor(4) as threads:
            last = store.last_position()
            waiting = [threads.submit(_wait_for_event, store, last) for _ in range(4)]
            time.sleep(0.3)
            appended = time.monotonic()
            store.append([Append("a:1", 1, _events(1))])
            assert max(it.result() for it in waiting) - appended < 2

    def test_each_append_wakes_a_waiting_thread(self, store: EventStore) -> None:
        with ThreadPoolExecutor(1) as threads:
            for number in range(40):
                waiting = threads.submit(_wait_for_event, store, store.last_position())
                # The append comes at another moment of the wait each time.
                time.sleep(number % 10 * 0.0005)
                appended = time.monotonic()
                store.append([Append("a:1", number, _events(1))])
                # Less than the time until a thread that was not woken checks by itself.
                assert waiting.result() - appended < 0.9

    def test_a_wait_raises_once_another_thread_closes_the_store(self, store: EventStore) -> None:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(_wait_for_event, store, 0)
            time.sleep(0.1)
            store.close()
            assert isinstance(waiting.exception(5), StoreUnavailable)

    def test_forget_deletes_these_streams_and_no_other(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(2)), Append("a:2", 0, _events(3))])
        store.append([Append("a:1", 2, _events(1)), Append("a:3", 0, _events(1))])
        others = [entry for entry in store.read_all() if entry.stream != "a:1"]
        assert store.forget(["a:1", "a:4"]) == 3
        assert store.read("a:1") == []
        assert store.read_many(["a:1", "a:2"]) == {"a:1": [], "a:2": others[:3]}
        assert store.read_all() == others
        assert (store.forget(["a:1"]), store.forget([])) == (0, 0)

    def test_a_forgotten_stream_begins_again(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(3))])
        store.forget(["a:1"])
        _assert_conflict(store, [Append("a:1", 3, _events(1))])
        store.append([Append("a:1", 0, _events(2))])
        recorded = store.read("a:1")
        assert [entry.version for entry in recorded] == [1, 2]
        assert recorded[0].position > 3

    def test_a_position_is_used_once(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(2))])
        store.append([Append("a:2", 0, _events(3))])
        store.forget(["a:2"])
        # A reader at the end must not be ahead of the last position.
        assert store.last_position() == 5
        assert not store.wait(2, 0.0)
        store.append([Append("a:3", 0, _events(1))])
        [entry] = store.read_all(after=2)
        assert entry.position > 5
        store.forget(["a:1", "a:3"])
        assert (store.read_all(), store.last_position()) == ([], entry.position)
        assert not store.wait(0, 0.0)

    def test_large_appends_return(self, store: EventStore) -> None:
        store.append([Append("a:1", 0, _events(3000))])
        store.append([Append(f"b:{run}", 0, _events(5)) for run in range(400)])
        assert len(store.read("a:1")) == 3000
        assert len(store.read_all(limit=10_000)) == 5000


def _events(number: int, *, start: int = 0) -> list[Event]:
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    return [
        RunStatusChanged(
            observed_at=moment + timedelta(microseconds=second),
            occurred_at=moment,
            previous="queued",
            status="in_progress",
        )
        for second in range(start, start + number)
    ]


def _wait_for_event(store: EventStore, after: int) -> float:
    """Waits for an event for up to 30 seconds; returns the time."""
    assert store.wait(after, 30)
    return time.monotonic()


def _assert_conflict(store: EventStore, batch: list[Append]) -> None:
    try:
        store.append(batch)
    except ConcurrencyError:
        return
    raise AssertionError("the append should have raised ConcurrencyError")
