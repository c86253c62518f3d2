"""A service over HTTP: in a background thread, or in the foreground."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tracker.errors import SettingsError
from tracker.simulator.model.service import Service

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from tracker.simulator.api.operations import Operation
    from tracker.simulator.http.uvicorn_server import Server


class HttpService(ABC):
    """The base of what serves an application: a context manager, which serves from a thread."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._address: tuple[str, int] | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    @abstractmethod
    def app(self) -> Starlette:
        """The ASGI application, for a server or a test transport of your own."""

    @property
    def base_url(self) -> str:
        """The base URL for clients. Raises SettingsError while the simulator does not serve."""
        if self._address is None:
            raise SettingsError("the simulator is not serving: use it in a with block")

        host, port = self._address
        return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise SettingsError("the simulator is serving already")

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
        """Serves in the calling thread until it is interrupted.

        `announce` is called with the base URL. Raises SettingsError if the address cannot be used.
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


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host} port {port}: {error}") from error


def import_app(
    service: Service, operations: Sequence[tuple[str, str, Operation]] | None = None
) -> Starlette:
    """Returns the application of a service. Raises SettingsError where the extra is missing."""
    try:
        from tracker.simulator.http.app import build_app
    except ImportError as error:
        raise _missing_extra_error(error) from error
    return build_app(service) if operations is None else build_app(service, operations)


def _import_server(app: Any) -> Server:
    try:
        from tracker.simulator.http.uvicorn_server import Server
    except ImportError as error:
        raise _missing_extra_error(error) from error
    return Server(app)


def _missing_extra_error(error: ImportError) -> SettingsError:
    return SettingsError(f"the simulator needs: pip install 'runfold[demo]' ({error})")
