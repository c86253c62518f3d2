"""Runs the simulated service: in a thread of this process, or alone until it is interrupted."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tracker.errors import SettingsError
from tracker.simulator.api.payloads import Version, run_body
from tracker.simulator.api.responses import create_response
from tracker.simulator.model.clock import SimulatedClock, SpeedClock
from tracker.simulator.model.errors import not_found
from tracker.simulator.model.faults import Faults
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.service import Service
from tracker.simulator.model.throttle import Throttle
from tracker.simulator.model.truth import Truth, build_truth
from tracker.simulator.model.world import World

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from tracker.simulator.http.uvicorn_server import Server


class Simulator:
    """A service that speaks the Assistants API, and the Responses API in background mode.

    Its runs and responses have life times and faults of your choice, and are streamed where a
    request says `stream`.

    A context manager: serves at `base_url` from a thread while entered. The rest works without
    serving too. `speed` multiplies time; a `clock` of your own takes its place. `port` 0 is any
    free one. `faults` and `parameters` may be replaced at any time, the latter for runs to come.
    `api_key` None accepts any key. `latency` is in real seconds. `per_minute` limits requests,
    `burst` of which (a second's worth by default) are let through at once.
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
        self._host = host
        self._port = port
        self._address: tuple[str, int] | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Where clients find the service. Raises SettingsError while it does not serve."""
        if self._address is None:
            raise SettingsError("the simulator does not serve yet: use it in a with block")

        host, port = self._address
        return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"

    @property
    def faults(self) -> Faults:
        """What goes wrong with answers from now on."""
        return self._service.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._service.faults = faults

    @property
    def parameters(self) -> Parameters:
        """How runs live that are created from now on."""
        return self._service.world.parameters

    @parameters.setter
    def parameters(self, parameters: Parameters) -> None:
        self._service.world.parameters = parameters

    @property
    def traffic(self) -> Counter[str]:
        """How many whole answers there were by status, and faults by name; a copy."""
        with self._service.lock:
            return self._service.traffic.copy()

    @property
    def app(self) -> Starlette:
        """The application, for a server or a test transport of your own."""
        return _import_app(self._service)

    def create_thread(self) -> str:
        """Makes a thread, as somebody else might, and returns its id."""
        with self._service.lock:
            return self._service.world.create_thread(self.clock.now()).id

    def create_run(
        self,
        thread_id: str | None = None,
        assistant_id: str = "asst_1",
        *,
        parameters: Parameters | None = None,
        **body: Any,
    ) -> Truth:
        """Starts a run, as somebody else might; in a thread of its own unless one is named.

        `body` holds further fields of the request. Raises Refused as the service would.
        """
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            thread_id = thread_id or world.create_thread(now).id
            request = {"assistant_id": assistant_id, **body}
            run = world.create_run(now, thread_id, request, parameters)
            return build_truth(run, world.get_life(run), now)

    def create_response(self, *, parameters: Parameters | None = None, **body: Any) -> Truth:
        """Starts a response in the background, as somebody else might.

        `body` holds the fields of the request. Raises Refused as the service would.
        """
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            record = create_response(world, now, {"background": True, **body}, parameters)
            return build_truth(record, world.get_life(record), now)

    def submit_outputs(self, run_id: str, output: str = "{}") -> Truth:
        """Answers all the calls that a run waits for. Raises Refused if it waits for none."""
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            run = self._run(run_id)
            asked = world.get_life(run).find_action(now)
            calls = asked.planned.calls if asked else ()
            outputs = [{"tool_call_id": call.id, "output": output} for call in calls]
            world.submit_outputs(now, run, {"tool_outputs": outputs})
            return build_truth(run, world.get_life(run), now)

    def cancel(self, run_id: str) -> Truth:
        """Cancels a run, as somebody else might. Raises Refused if it has ended."""
        with self._service.lock:
            now, world = self.clock.now(), self._service.world
            run = self._run(run_id)
            world.cancel_run(now, run)
            return build_truth(run, world.get_life(run), now)

    def truth(self, run_id: str, at: float | None = None) -> Truth:
        """What happened to a run or response until `at` (unix seconds, simulated; now by default).

        A moment in the future, such as infinity, tells what will happen if nobody interferes.
        Raises Refused for one that is not known.
        """
        with self._service.lock:
            world = self._service.world
            run = world.find(run_id)
            return build_truth(run, world.get_life(run), self.clock.now() if at is None else at)

    def run_ids(self) -> tuple[str, ...]:
        """The ids of all runs, oldest first."""
        with self._service.lock:
            return tuple(self._service.world.runs)

    def body(self, run_id: str, at: float | None = None, version: Version = "v2") -> dict[str, Any]:
        """The run as the service shows it, now or at another moment; for webhooks and files."""
        with self._service.lock:
            run = self._run(run_id)
            now = self.clock.now() if at is None else at
            return deepcopy(run_body(run, self._service.world.get_life(run), now, version))

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise SettingsError("the simulator serves already")

        server = _import_server(self.app)
        listener = _listen(self._host, self._port)
        thread = threading.Thread(
            target=server.run,
            kwargs={"sockets": [listener]},
            name="runfold-simulator",
            daemon=True,
        )
        thread.start()
        while not server.ready.wait(0.1):
            if not thread.is_alive():
                listener.close()
                raise SettingsError("the simulator's server did not start")

        self._address = listener.getsockname()[:2]
        self._server, self._thread = server, thread
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
        self._address = self._server = self._thread = None

    def serve(self, announce: Callable[[str], None] | None = None) -> None:
        """Serves in this thread until it is interrupted; `announce` is told the base URL.

        Raises SettingsError if the address cannot be used.
        """
        server = _import_server(self.app)
        listener = _listen(self._host, self._port)
        self._address = listener.getsockname()[:2]
        try:
            if announce is not None:
                announce(self.base_url)
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            listener.close()
            self._address = None

    def _run(self, run_id: str) -> RunRecord:
        runs = self._service.world.runs
        if run_id not in runs:
            raise not_found("run", run_id)
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
    """Runs a simulator until it is interrupted; `options` are those of Simulator."""
    Simulator(host=host, port=port, seed=seed, speed=speed, **options).serve(announce)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host} port {port}: {error}") from error


def _import_app(service: Service) -> Starlette:
    try:
        from tracker.simulator.http.app import build_app
    except ImportError as error:
        raise _missing(error) from error
    return build_app(service)


def _import_server(app: Any) -> Server:
    try:
        from tracker.simulator.http.uvicorn_server import Server
    except ImportError as error:
        raise _missing(error) from error
    return Server(app)


def _missing(error: ImportError) -> SettingsError:
    return SettingsError(f"the simulator needs: pip install 'runfold[demo]' ({error})")
