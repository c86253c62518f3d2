"""Pages of runs and steps."""

from __future__ import annotations

from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.http.pages import Page


class RunPage(Page[Run]):
    """Part of a thread's runs."""


class StepPage(Page[RunStep]):
    """Part of a run's steps."""
