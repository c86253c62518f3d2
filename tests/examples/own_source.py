"""A source for a service of your own: here, one that renders films and calls its runs jobs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tracker.core.snapshot import RunError, RunSnapshot, ToolCall
from tracker.core.status import CANCELLED, COMPLETED, FAILED, IN_PROGRESS, QUEUED, REQUIRES_ACTION
from tracker.errors import PayloadError, UnusableAnswer
from tracker.sources import Answer, HttpSource, counted, decode, read_stamp

STATUSES = {
    "WAITING": QUEUED,
    "RENDERING": IN_PROGRESS,
    "NEEDS_APPROVAL": REQUIRES_ACTION,
    "DONE": COMPLETED,
    "BROKEN": FAILED,
    "STOPPED": CANCELLED,
}


class RenderFarm(HttpSource):
    """`GET /jobs/{job}`; jobs belong to no thread."""

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        answer, job = await self.ask("GET", f"/jobs/{run_id}", known=known)
        if answer.body is not known and job.get("job") != run_id:
            raise UnusableAnswer(f"GET /jobs/{run_id} brought another job.")
        return answer

    def glance(self, body: bytes) -> object:
        job = decode(body)
        return {name: job.get(name) for name in ("state", "finished", "tokens", "ask", "fault")}

    def snapshot(self, body: bytes | Mapping[str, Any], **moments: datetime | None) -> RunSnapshot:
        job = decode(body)
        if not isinstance(job.get("job"), str) or not isinstance(job.get("state"), str):
            raise PayloadError("not a job: `job` and `state` are missing")
        tokens, ask = job.get("tokens") or {}, job.get("ask")
        said = {
            "source": self.name,
            "run_id": job["job"],
            "status": STATUSES.get(job["state"], job["state"]),
            "model": job.get("renderer"),
            "created_at": read_stamp(job.get("made")),
            "ended_at": read_stamp(job.get("finished")),
            "tool_calls": (ToolCall(id=ask["id"], name=ask["what"]),) if ask else (),
            "usage": counted(prompt_tokens=tokens.get("in"), completion_tokens=tokens.get("out")),
            "error": RunError(message=job["fault"]) if job.get("fault") else None,
        }
        return RunSnapshot.model_validate({**said, **moments})

    def recognises(self, body: Mapping[str, Any]) -> bool:
        return "job" in body and "state" in body
