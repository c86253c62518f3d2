"""A Celery task that waits for a run, with one tracker in each process of the worker.

RUNFOLD_DB=postgresql://… OPENAI_BASE_URL=https://… celery -A tests.recipes.celery_tasks worker

Several processes need PostgreSQL; one SQLite file has one tracker (`--pool threads`).
"""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from tracker import Tracker

app = Celery("runs", broker=os.environ.get("CELERY_BROKER", "memory://"), backend="cache+memory://")
tracker = Tracker.from_env().in_background()


def start(**_: Any) -> None:
    # After the fork: an open tracker does not survive one.
    tracker.start()


def stop(**_: Any) -> None:
    tracker.stop()


def wait_for(run_id: str) -> str | None:
    """Returns the status that a run ends with; a task that is tried again waits for the same."""
    return tracker.wait(run_id, timeout=300).status


def create(thread_id: str) -> str:
    """Starts a run, and returns its id."""
    return tracker.runs.create(thread_id, assistant_id="asst_1").id


worker_process_init.connect(start)
worker_process_shutdown.connect(stop)
create_task = app.task(create)
wait_task = app.task(wait_for)
