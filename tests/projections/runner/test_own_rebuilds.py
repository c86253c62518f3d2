"""Rebuilds of an application's tables for a new version, while all others go on, with kills."""

import multiprocessing
import os
import signal

import pytest

from projections import Views
from projections.runner.catch_up import catch_up
from projections.testing import random_histories
from projections.testing.contract import loop
from tests.support.own_projections import (
    TenantTokens,
    TenantTokens2,
    ToolTimes,
    ToolTimes2,
    histories_of,
    read_table,
    tenant_tokens,
    tool_times,
    tool_times_2,
)
from tracker.event_store import Append, open_event_store

pytestmark = [pytest.mark.integration, pytest.mark.kills]

_BATCH = 15


def _upgrade(url: str, batches: int | None) -> None:
    """Catches up with the newer projections; killed after so many batches."""
    catch_up.__kwdefaults__["batch"] = _BATCH  # type: ignore[attr-defined]
    done = 0

    def kill(position: int, last: int) -> None:
        nonlocal done
        done += 1
        if done == batches:
            os.kill(os.getpid(), signal.SIGKILL)

    with Views(url, projections=(ToolTimes2(), TenantTokens2())) as views:
        views.catch_up(kill)


def test_a_rebuild_that_is_killed_leaves_the_old_rows_and_resumes(database_url: str) -> None:
    store = open_event_store(database_url)
    histories = list(random_histories(11, 40).items())
    first, late = histories[:36], histories[36:]
    store.append([Append(key, 0, events) for key, events in first])
    spawn = multiprocessing.get_context("spawn")
    with Views(database_url, projections=(ToolTimes(), TenantTokens())) as views:
        views.upgrade()
        views.catch_up()
        for batches, (key, events) in zip((1, 3), late, strict=False):
            old = loop(ToolTimes(), histories_of(store)), loop(TenantTokens(), histories_of(store))
            victim = spawn.Process(target=_upgrade, args=(database_url, batches))
            victim.start()
            while victim.is_alive():
                # Readers see the old rows, all of them.
                assert (
                    read_table(database_url, tool_times),
                    read_table(database_url, tenant_tokens),
                ) == old
                victim.join(0.3)
            assert victim.exitcode == -signal.SIGKILL
            # A tracker goes on, and so do the processes of the older version.
            store.append([Append(key, 0, events)])
            views.catch_up()
            assert views.run(key).run_key == key
    last = spawn.Process(target=_upgrade, args=(database_url, None))
    last.start()
    store.append([Append(key, 0, events) for key, events in late[2:]])
    last.join(300)
    assert last.exitcode == 0
    with Views(database_url, projections=(ToolTimes2(), TenantTokens2())) as newer:
        newer.catch_up()
        everything = histories_of(store)
        assert read_table(database_url, tool_times_2) == loop(ToolTimes2(), everything)
        assert read_table(database_url, tenant_tokens) == loop(TenantTokens2(), everything)
        assert newer.verify() == []
    store.close()
