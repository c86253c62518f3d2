"""The simulated service as a server: in a background thread, or in the foreground."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tracker.errors import SettingsError
from tracker.simulator.api.payloads import Version, run_body
from tracker.simulator.api.responses import create_response
from tracker.simulator.api.sessions import add_turn, create_session, find_session, session_body
from tracker.simulator.http_service import HttpService, import_app
from tracker.simulator.model.clock import SimulatedClock, SpeedClock
from tracker.simulator.model.errors import not_found_error
from tracker.simulator.model.faults import Faults
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.service import Service
from tracker.simulator.model.throttle import Throttle
from tracker.simulator.model.truth import Truth, build_truth
from tracker.simulator.model.world import World

if TYPE_CHECKING:
    from starlette.applications import Starlette


class Simulator(HttpService):
    """A server of the Assistants API, the Responses API in background mode, and the Agents API.

    Durations and faults of its runs and responses are configurable. A request with `stream`
    gets a stream of events.

    A context manager that serves at `base_url` from a thread. All other methods also work while
    it does not serve. Raises SettingsError for a setting out of range.

    Args:
        seed: Equal seeds give equal ids and equal runs.
        speed: Multiplies the speed of time; ignored if `clock` is given.
        clock: The simulated time.
        parameters: Durations and outcomes of runs; may be replaced at any time, for new runs.
        faults: Faults of responses; may be replaced at any time.
        api_key: The only key to accept; None accepts any.
        many_active: Allow several active runs on a thread.
        poll_after_ms: Sent as `openai-poll-after-ms` with runs that have not ended.
        latency: Delay of each response, in real seconds.
        per_minute: Limit of requests per minute.
        burst: Requests allowed at once; by default those of one second.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        clock: SimulatedClock | None = None,
        parameters: Parameters | None = None,
        faults: Faults | None = None,
        api_key: str | None = None,
        many_active: bool = False,
        poll_after_ms: int | None = None,
        latency: float = 0.0,
        per_minute: float | None = None,
        burst: float | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if per_minute is not None and not per_minute > 0:
            raise SettingsError(f"per_minute must be above 0, not {per_minute}")

        self.clock: SimulatedClock = clock or SpeedClock(speed)
        self._service = Service(
            world=World(seed, parameters, many_active=many_active),
            clock=self.clock,
            faults=faults or Faults(),
            api_key=api_key,
            poll_after_ms=poll_after_ms,
            latency=latency,
            throttle=Throttle(per_minute, burst=burst) if per_minute is not None else None,
        )
        super().__init__(host, port)

    @property
    def faults(self) -> Faults:
        """The faults of responses from now on."""
        return self._service.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._service.faults = faults

    @property
    def parameters(self) -> Parameters:
        """Durations and outcomes of runs created from now on."""
        return self._service.world.parameters

    @parameters.setter
    def parameters(self, parameters: Parameters) -> None:
        self._service.world.parameters = parameters

    @property
    def traffic(self) -> Counter[str]:
        """A copy of the counts of complete responses by status, and of faults by name."""
        with self._service.lock:
            return self._service.traffic.copy()

    @property
    def app(self) -> Starlette:
        """The ASGI application, for a server or a test transport of your own."""
        return import_app(self._service)

    def create_thread(self, thread_id: str | None = None) -> str:
        """Creates a thread as another client would. Returns its id, which may be given."""
        with self._service.lock:
            return self._service.world.create_thread(self.clock.now(), thread_id=thread_id).id

    def create_run(
        self,
        thread_id: str | None = None,
        assistant_id: str = "asst_1",
        *,
        parameters: Parameters | None = None,
        **body: Any,
    ) -> Truth:
        """Starts a run as another client would, by default on a new thread.

        `body` holds further fields of the request. Raises Refused as the service would.
        """
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            thread_id = thread_id or world.create_thread(now).id
            request = {"assistant_id": assistant_id, **body}
            run = world.create_run(now, thread_id, request, parameters)
            return build_truth(run, world.get_life(run), now)

    def create_response(self, *, parameters: Parameters | None = None, **body: Any) -> Truth:
        """Starts a response in the background as another client would.

        `body` holds the fields of the request. Raises Refused as the service would.
        """
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            record = create_response(world, now, {"background": True, **body}, parameters)
            return build_truth(record, world.get_life(record), now)

    def create_session(
        self,
        *,
        subagents: int = 0,
        overhead: int = 0,
        tools: list[Any] | None = None,
        parameters: Parameters | None = None,
    ) -> dict[str, Any]:
        """Starts a session of an agent with a turn, and so many sub-agents with a turn each.

        The session counts `overhead` prompt tokens that are of no turn. Returns its body.
        """
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            session = create_session(
                *(world, now),
                subagents=subagents,
                overhead=overhead,
                tools=tools,
                parameters=parameters,
            )
            return session_body(world, session, now)

    def add_turn(
        self,
        session_id: str,
        subagent_id: str | None = None,
        *,
        parameters: Parameters | None = None,
    ) -> Truth:
        """Starts a turn of a session, or of one of its sub-agents. Raises Refused."""
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            session = find_session(world, session_id)
            turn = add_turn(world, now, session, subagent_id, parameters)
            return build_truth(turn, world.get_life(turn), now)

    def turns(self, session_id: str) -> dict[str, str | None]:
        """Returns the ids of the turns of a session with their sub-agents, None for its own."""
        with self._service.lock:
            session = find_session(self._service.world, session_id)
            return {turn.id: turn.subagent_id for turn in session.all_turns}

    def submit_outputs(self, run_id: str, output: str = "{}") -> Truth:
        """Submits an output for each call that a run or turn waits for.

        Raises Refused if there is none.
        """
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            run = self._open_run(run_id)
            action = world.get_life(run).find_action(now)
            calls = action.planned.calls if action else ()
            outputs = [{"tool_call_id": call.id, "output": output} for call in calls]
            world.submit_outputs(now, run, {"tool_outputs": outputs})
            return build_truth(run, world.get_life(run), now)

    def cancel(self, run_id: str) -> Truth:
        """Cancels a run or turn as another client would. Raises Refused if it has ended."""
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            run = self._open_run(run_id)
            world.cancel_run(now, run)
            return build_truth(run, world.get_life(run), now)

    def truth(self, run_id: str, at: float | None = None) -> Truth:
        """Returns the true history of a run, response or turn until `at`.

        `at` is in unix seconds of simulated time, now by default. A time in the future, such as
        infinity, includes everything that will happen if no client intervenes. Raises Refused for
        an unknown id.
        """
        with self._service.lock:
            world = self._service.world
            run = world.find(run_id)
            return build_truth(run, world.get_life(run), self.clock.now() if at is None else at)

    def run_ids(self) -> tuple[str, ...]:
        """Returns the ids of all runs, oldest first."""
        with self._service.lock:
            return tuple(self._service.world.runs)

    def body(self, run_id: str, at: float | None = None, version: Version = "v2") -> dict[str, Any]:
        """Returns the JSON body of a run, now or at another time; for webhooks and files."""
        with self._service.lock:
            run = self._run(run_id)
            now = self.clock.now() if at is None else at
            return deepcopy(run_body(run, self._service.world.get_life(run), now, version))

    def _open_run(self, run_id: str) -> RunRecord:
        """Returns a run or a turn. Raises Refused."""
        return self._service.world.turns.get(run_id) or self._run(run_id)

    def _run(self, run_id: str) -> RunRecord:
        runs = self._service.world.runs
        if run_id not in runs:
            raise not_found_error("run", run_id)
        return runs[run_id]


def serve(
    host: str = "127.0.0.1",
    port: int = 4010,
    seed: int = 0,
    speed: float = 1.0,
    *,
    announce: Callable[[str], None] | None = None,
    **options: Any,
) -> None:
    """Serves a simulator until it is interrupted; `options` are parameters of Simulator."""
    Simulator(host=host, port=port, seed=seed, speed=speed, **options).serve(announce)
