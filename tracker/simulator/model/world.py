"""The state of the simulated service; takes the time as an argument and does no I/O."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from tracker.core.status import IN_PROGRESS, QUEUED, REQUIRES_ACTION, is_ended
from tracker.simulator.model.catalogue import default_model, default_tools, kind_of
from tracker.simulator.model.errors import (
    Refused,
    check_metadata,
    missing_parameter_error,
    not_found_error,
    wrong_type_error,
)
from tracker.simulator.model.identifiers import make_id
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.plan import draw_plan
from tracker.simulator.model.records import (
    AssistantRecord,
    MessageRecord,
    RunRecord,
    SessionRecord,
    ThreadRecord,
)
from tracker.simulator.model.response_life import build_response_life, to_assistant_tool
from tracker.simulator.model.run_life import Life, build_life

_LIVES_KEPT = 4096


class World:
    """The threads, assistants, runs, responses and sessions of the service.

    Times are simulated, in unix seconds. A thread has one active run at a time unless
    `many_active`. `parameters` may be replaced at any time; existing runs keep theirs. The methods
    raise Refused.
    """

    def __init__(
        self, seed: int = 0, parameters: Parameters | None = None, *, many_active: bool = False
    ) -> None:
        self.seed = seed
        self.parameters = parameters or Parameters()
        self.many_active = many_active
        self.threads: dict[str, ThreadRecord] = {}
        self.runs: dict[str, RunRecord] = {}
        self.responses: dict[str, RunRecord] = {}
        self.sessions: dict[str, SessionRecord] = {}
        self.turns: dict[str, RunRecord] = {}
        self.assistants: dict[str, AssistantRecord] = {}
        self._counts: Counter[str] = Counter()
        self._lives: OrderedDict[tuple[str, int], Life] = OrderedDict()

    def create_thread(
        self, now: float, body: dict[str, Any] | None = None, thread_id: str | None = None
    ) -> ThreadRecord:
        """Creates a thread with the messages of `body`, by default with a new id."""
        body = body or {}
        metadata = check_metadata(body.get("metadata"))
        thread = ThreadRecord(thread_id or self.new_id("thread"), now, metadata)
        for message in _list(body, "messages"):
            self._add_message(thread, now, message)

        self.threads[thread.id] = thread
        return thread

    def get_thread(self, thread_id: str) -> ThreadRecord:
        """Returns the thread with this id."""
        if thread_id not in self.threads:
            raise not_found_error("thread", thread_id)
        return self.threads[thread_id]

    def create_assistant(self, now: float, body: dict[str, Any]) -> AssistantRecord:
        """Creates an assistant; runs also accept the ids of assistants never created."""
        if not body.get("model"):
            raise missing_parameter_error("model")

        _list(body, "tools")
        metadata = check_metadata(body.get("metadata"))
        assistant = AssistantRecord(self.new_id("asst"), now, _drop_nulls(body), metadata)
        self.assistants[assistant.id] = assistant
        return assistant

    def get_assistant(self, assistant_id: str) -> AssistantRecord:
        """Returns the assistant with this id, if a client created it."""
        if assistant_id not in self.assistants:
            raise not_found_error("assistant", assistant_id)
        return self.assistants[assistant_id]

    def add_message(self, now: float, thread_id: str, body: dict[str, Any]) -> MessageRecord:
        """Adds a message to a thread without an active run."""
        thread = self.get_thread(thread_id)
        active = self.find_active_run(now, thread)
        if active:
            raise Refused(f"Can't add messages to {thread.id} while a run {active.id} is active.")
        return self._add_message(thread, now, body)

    def create_run(
        self,
        now: float,
        thread_id: str,
        body: dict[str, Any],
        parameters: Parameters | None = None,
    ) -> RunRecord:
        """Starts a run; `parameters` apply to it alone."""
        thread = self.get_thread(thread_id)
        assistant_id = self.check_run(body)
        active = self.find_active_run(now, thread)
        if active:
            raise Refused(f"Thread {thread.id} already has an active run {active.id}.")

        assistant = self.assistants.get(assistant_id)
        settings = {
            **({"tools": [], **assistant.settings} if assistant else {}),
            **_drop_nulls(body),
        }
        tools = settings["tools"] if "tools" in settings else default_tools(assistant_id)
        metadata = check_metadata(body.get("metadata"))
        for message in _list(body, "additional_messages"):
            self._add_message(thread, now, message)

        model = str(settings.get("model") or default_model(assistant_id))
        run = RunRecord(
            id=self.new_id("run"),
            thread_id=thread.id,
            assistant_id=assistant_id,
            model=model,
            created_at=now,
            settings=settings,
            tools=tools,
            metadata=metadata,
            parameters=parameters or self.parameters,
        )
        thread.runs[run.id] = self.runs[run.id] = run
        return run

    def check_run(self, body: dict[str, Any]) -> str:
        """Validates a request for a run. Returns the id of its assistant."""
        assistant_id = body.get("assistant_id")
        if assistant_id is None:
            raise missing_parameter_error("assistant_id")
        if not isinstance(assistant_id, str):
            raise wrong_type_error("assistant_id", "a string", assistant_id)
        if assistant_id not in self.assistants and not assistant_id.startswith("asst_"):
            raise not_found_error("assistant", assistant_id)

        _list(body, "tools")
        check_metadata(body.get("metadata"))
        return assistant_id

    def get_run(self, thread_id: str, run_id: str) -> RunRecord:
        """Returns the run with this id on this thread."""
        thread = self.get_thread(thread_id)
        if run_id not in thread.runs:
            raise not_found_error("run", run_id)
        return thread.runs[run_id]

    def find(self, run_id: str) -> RunRecord:
        """Returns the run, the response or the turn with this id."""
        found = self.runs.get(run_id) or self.responses.get(run_id) or self.turns.get(run_id)
        if found is None:
            raise not_found_error("run", run_id)
        return found

    def get_life(self, run: RunRecord) -> Life:
        """Returns the life of a run as planned now; draws it on first use, in a bounded cache."""
        key = (run.id, run.revision)
        if key in self._lives:
            self._lives.move_to_end(key)
            return self._lives[key]

        life = self._lives[key] = self._draw_life(run)
        if len(self._lives) > _LIVES_KEPT:
            self._lives.popitem(last=False)
        return life

    def _draw_life(self, run: RunRecord) -> Life:
        if run.id in self.responses:
            return build_response_life(self.seed, run, self._count_predecessors(run))
        plan = draw_plan(
            self.seed,
            run.id,
            run.parameters,
            kind=kind_of(run.assistant_id, run.parameters.kinds),
            tools=[to_assistant_tool(tool) for tool in run.tools],
            reasons=run.model.startswith("o"),
        )
        return build_life(plan, run.created_at, run.answers, run.cancel_at)

    def _count_predecessors(self, response: RunRecord) -> int:
        """Returns the number of previous responses in the chain of this one."""
        count, previous = 0, response.settings.get("previous_response_id")
        while previous in self.responses:
            count += 1
            previous = self.responses[previous].settings.get("previous_response_id")
        return count

    def get_status(self, now: float, run: RunRecord) -> str:
        """Returns the status of a run at `now`."""
        return self.get_life(run).at(now).status

    def find_active_run(self, now: float, thread: ThreadRecord) -> RunRecord | None:
        """Returns the run that locks the thread; None with `many_active`."""
        if self.many_active or not thread.runs:
            return None

        latest = next(reversed(thread.runs.values()))
        return None if is_ended(self.get_status(now, latest)) else latest

    def update_run(self, now: float, run: RunRecord, body: dict[str, Any]) -> None:
        """Replaces the metadata of a run that is not in progress."""
        metadata = check_metadata(body.get("metadata"))
        status = self.get_status(now, run)
        if status == IN_PROGRESS:
            raise Refused(f"Cannot update run with status '{status}'.")
        if "metadata" in body:
            run.metadata = metadata

    def cancel_run(self, now: float, run: RunRecord) -> None:
        """Starts the cancellation of a run."""
        status = self.get_status(now, run)
        if status not in (QUEUED, IN_PROGRESS, REQUIRES_ACTION):
            raise Refused(f"Cannot cancel run with status '{status}'.")

        run.cancel_at = now
        run.revision += 1

    def submit_outputs(self, now: float, run: RunRecord, body: dict[str, Any]) -> None:
        """Submits the outputs of all calls that a run waits for, and continues it."""
        life = self.get_life(run)
        action = life.find_action(now)
        if action is None:
            status = life.at(now).status
            raise Refused(f'Runs in status "{status}" do not accept tool outputs.')

        outputs: dict[str, str] = {}
        for each in _list(body, "tool_outputs", required=True):
            if not isinstance(each, dict) or not isinstance(each.get("tool_call_id"), str):
                raise missing_parameter_error("tool_outputs[].tool_call_id")
            outputs[each["tool_call_id"]] = str(each.get("output") or "")

        expected = [call.id for call in action.planned.calls]
        if sorted(outputs) != sorted(expected):
            raise Refused(f"Expected tool outputs for call_ids {expected}, got {list(outputs)}")

        run.outputs.update(outputs)
        run.answers[action.lap] = now
        run.revision += 1

    def _add_message(self, thread: ThreadRecord, now: float, body: Any) -> MessageRecord:
        if not isinstance(body, dict):
            raise wrong_type_error("messages", "an object", body)
        if body.get("role") not in ("user", "assistant"):
            raise missing_parameter_error("role")
        if body.get("content") is None:
            raise missing_parameter_error("content")

        metadata = check_metadata(body.get("metadata"))
        message = MessageRecord(
            self.new_id("msg"), thread.id, now, body["role"], body["content"], metadata
        )
        thread.messages.append(message)
        return message

    def new_id(self, prefix: str) -> str:
        """Returns a new unique id."""
        self._counts[prefix] += 1
        return make_id(prefix, self.seed, self._counts[prefix])


def _drop_nulls(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


def _list(body: dict[str, Any], param: str, *, required: bool = False) -> list[Any]:
    value = body.get(param)
    if value is None and required:
        raise missing_parameter_error(param)
    if value is not None and not isinstance(value, list):
        raise wrong_type_error(param, "an array", value)
    return value or []
