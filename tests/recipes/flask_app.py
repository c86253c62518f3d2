"""A Flask app that starts runs and lists them; the tracker polls in a thread beside it.

RUNFOLD_DB=… OPENAI_BASE_URL=https://… OPENAI_API_KEY=… gunicorn tests.recipes.flask_app:app
"""

import atexit
import os
from typing import Any

from flask import Flask

from projections import Views
from tracker import Tracker
from tracker.errors import UnknownRun

views = Views(os.environ["RUNFOLD_DB"])
tracker = Tracker.from_env().in_background()
tracker.follow(views)
# Each worker loads this module after it was forked; `--preload` would need a hook of gunicorn.
tracker.start()
atexit.register(tracker.stop)

app = Flask(__name__)


@app.post("/threads/<thread_id>/runs")
def create(thread_id: str) -> tuple[dict[str, str], int]:
    run = tracker.runs.create(thread_id, assistant_id="asst_1")
    return {"run_id": run.id}, 202


@app.get("/runs")
def list_runs() -> list[dict[str, Any]]:
    return views.runs(limit=5).records()


@app.get("/runs/<run_id>")
def show_run(run_id: str) -> tuple[dict[str, Any], int]:
    try:
        return views.run(run_id).record(), 200
    except UnknownRun as error:
        return {"error": str(error)}, 404
