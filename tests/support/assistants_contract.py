"""The contract of a source, of the Assistants API."""

from tests.support.payload_bodies import ACTION, BIRTH, STEP, USAGE, assistants_run
from tracker.sources import Assistants, Source
from tracker.testing import SourceContract


class AssistantsContract(SourceContract):
    """A run of the Assistants API that waits for tool outputs once, and its step."""

    steps = (STEP,)
    bodies = (
        assistants_run("queued", started_at=None, usage=None),
        assistants_run("in_progress", started_at=BIRTH + 1),
        assistants_run("requires_action", started_at=BIRTH + 1, required_action=ACTION),
        assistants_run("queued", started_at=BIRTH + 1),
        assistants_run("in_progress", started_at=BIRTH + 9),
        assistants_run("completed", started_at=BIRTH + 9, completed_at=BIRTH + 12, usage=USAGE),
    )
    outcome = "completed"

    def source_at(self, base_url: str) -> Source:
        return Assistants(base_url, "key-4f1d9c22b7")
