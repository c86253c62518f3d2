"""A service that shows recorded runs again, as their own service showed them then."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tracker.event_store import EventStore
from tracker.simulator.api.recorded_operations import recorded_operations
from tracker.simulator.http_service import HttpService, import_app
from tracker.simulator.model.clock import SimulatedClock, SpeedClock
from tracker.simulator.model.recorded_world import RecordedWorld
from tracker.simulator.model.service import Service
from tracker.simulator.model.world import World

if TYPE_CHECKING:
    from starlette.applications import Starlette


class Replay(HttpService):
    """A server of the runs that an event store has, in the shapes of Assistants and Responses.

    Its time begins with the first of the runs, and all stamps are those of then. A run appears when
    it was created, and changes when it changed. What clients submit is accepted, and changes
    nothing. Raises SettingsError if no run was created from `since` on and before `until`.

    Args:
        store: The events; they are read at once.
        since: The first creation of a run.
        until: The creations before then.
        speed: Multiplies the speed of time; ignored if `clock` is given.
        clock: The time of the service, in unix seconds.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        speed: float = 1.0,
        clock: SimulatedClock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self._recorded = RecordedWorld.read(store, since, until)
        self.speed = speed
        self.clock: SimulatedClock = clock or SpeedClock(speed, self._recorded.starts_at)
        self._service = Service(world=World(), clock=self.clock)

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The ids of all runs, oldest first."""
        return tuple(self._recorded.runs)

    @property
    def thread_ids(self) -> tuple[str, ...]:
        """The ids of the threads of all runs."""
        return tuple(filter(None, self._recorded.threads))

    @property
    def period(self) -> tuple[float, float]:
        """The first creation and the last change, in unix seconds."""
        return self._recorded.starts_at, self._recorded.ends_at

    @property
    def app(self) -> Starlette:
        """The ASGI application, for a server or a test transport of your own."""
        return import_app(self._service, recorded_operations(self._recorded))
