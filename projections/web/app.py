"""The dashboard: an ASGI application of pages, to be mounted or served alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projections.views import Views
from projections.web.page import Page, quote_part, unquote_part
from projections.web.page_maker import PageMaker, Sources
from projections.web.pages import comparison, health, overview, run_list, run_page, thread
from projections.web.past_answers import Busy
from projections.web.rendering import POLICY, list_files, render, render_message
from tracker.errors import RunfoldError, SchemaError, SettingsError, StoreUnavailable, UnknownRun

logger = logging.getLogger("runfold")

# Pages that are made at once; more wait.
BUILDERS = 2
# How long ages that a page shows may be old.
_AGE_SECONDS = 10
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
}


def dashboard(
    views: Views,
    *,
    tz: str | None = None,
    names: Mapping[str, str] | None = None,
    sources: Sources | None = None,
) -> ASGIApp:
    """Returns an ASGI application of pages about the runs, for you to mount behind your login.

    It has no login of its own: everyone who reaches it sees all runs. `tz` is the time zone of
    its days and times, otherwise that of `RUNFOLD_TZ`, otherwise UTC. `names` gives names to ids,
    such as `{"asst_8f…": "Refunds"}`. `sources` is a function that returns what the trackers
    report of themselves, for the page Health. It only reads, and answers GET and HEAD. Raises
    SettingsError for an unknown time zone. Needs `pip install "runfold[dashboard]"`.
    """
    return Dashboard(PageMaker(views, tz=tz, names=names, sources=sources))


class Dashboard:
    """The application: it gives each answer the headers that keep pages safe."""

    def __init__(self, maker: PageMaker) -> None:
        self.maker = maker
        self._builders = ThreadPoolExecutor(BUILDERS, "runfold-dashboard")
        pages: tuple[tuple[str, str, Callable[[Request, Page], str]], ...] = (
            ("/", "", _make_overview),
            ("/runs", "", _make_runs),
            ("/runs/{source}/{run_id:path}", "../../", _make_run),
            ("/threads/{source}/{thread_id:path}", "../../", _make_thread),
            ("/compare", "", _make_comparison),
            ("/health", "", self._make_health),
        )
        routes = [
            Route(path, self._endpoint(make, root), methods=["GET"]) for path, root, make in pages
        ]
        routes.append(Route("/static/{name}", _serve_file, methods=["GET"]))
        self._app = Starlette(routes=routes, exception_handlers={404: _not_found})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in PAGE_HEADERS.items()
                        if name.lower().encode() not in given
                    ),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _endpoint(self, make: Callable[[Request, Page], str], root: str) -> Callable[..., Any]:
        async def answer(request: Request) -> Response:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._builders, self._answer, request, make, root or "./"
            )

        return answer

    def _answer(
        self, request: Request, make: Callable[[Request, Page], str], root: str
    ) -> Response:
        """Returns the answer to a request; each error is a page with its cure."""
        try:
            tag = self._make_tag(request)
            if tag in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers={"ETag": tag})
            params = dict(request.query_params)
            path = _path_of(request)
            has_past = path != "health"
            with self.maker.open(path, params, root=root, has_past=has_past) as page:
                text = make(request, page)
            return _make_response(text, 200, {"ETag": tag})
        except _Redirect as redirect:
            return RedirectResponse(redirect.url, 303)
        except RunfoldError as error:
            return _explain(error)
        except Exception:
            logger.exception("a page of the dashboard could not be made")
            text = "This page could not be made. The log of the service has the cause."
            return _make_response(render_message("Something went wrong", text), 500)

    def _make_tag(self, request: Request) -> str:
        """Returns the ETag of an answer: of the events, the URL, and the time where ages show."""
        age: float = 0
        if not request.query_params.get("at"):
            age = self.maker.now().timestamp() // _AGE_SECONDS
        parts = self.maker.read_mark(), request.url.path, request.url.query, age
        return f'"{sha256(repr(parts).encode()).hexdigest()[:32]}"'

    def _make_health(self, request: Request, page: Page) -> str:
        values = health.gather(page, self.maker.views.doctor, self.maker.sources)
        return render("health.html", page, values, section="health")


class _Redirect(Exception):
    """Another page has what was asked for."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


def _path_of(request: Request) -> str:
    """Returns the path of a page below the dashboard, as links to it have it."""
    params = request.path_params
    for kind, name in (("runs", "run_id"), ("threads", "thread_id")):
        if name in params:
            part = quote_part(unquote_part(params[name]))
            return f"{kind}/{quote_part(params['source'])}/{part}"
    route: Route = request.scope["route"]
    return route.path.strip("/")


def _make_overview(request: Request, page: Page) -> str:
    return render("overview.html", page, overview.gather(page), section="")


def _make_runs(request: Request, page: Page) -> str:
    place = run_list.find_place(page)
    if place is not None:
        raise _Redirect(place)
    return render("runs.html", page, run_list.gather(page), section="runs")


def _make_run(request: Request, page: Page) -> str:
    run_id = unquote_part(request.path_params["run_id"])
    values = run_page.gather(page, request.path_params["source"], run_id)
    return render("run.html", page, values, section="runs")


def _make_thread(request: Request, page: Page) -> str:
    thread_id = unquote_part(request.path_params["thread_id"])
    values = thread.gather(page, request.path_params["source"], thread_id)
    return render("thread.html", page, values, section="runs")


def _make_comparison(request: Request, page: Page) -> str:
    return render("compare.html", page, comparison.gather(page), section="compare")


async def _serve_file(request: Request) -> Response:
    found = list_files().get(request.path_params["name"])
    if found is None:
        return await _not_found(request, None)
    kind, content = found
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, headers={**kept, "Content-Type": kind})


async def _not_found(request: Request, error: object) -> Response:
    text = "There is no such page. The pages are Overview, Runs, Compare and Health."
    return _make_response(render_message("Not found", text), 404)


def _explain(error: RunfoldError) -> Response:
    """Returns a page that names a problem and its cure."""
    if isinstance(error, UnknownRun):
        return _make_response(render_message("Not found", str(error)), 404)
    if isinstance(error, Busy):
        text = render_message("One moment", str(error))
        return _make_response(text, 503, {"Retry-After": "3"})
    if isinstance(error, SettingsError):
        return _make_response(render_message("This cannot be shown", str(error)), 400)
    if isinstance(error, SchemaError):
        return _make_response(render_message("The tables are not ready", str(error)), 503)
    if isinstance(error, StoreUnavailable):
        return _make_response(render_message("No database", str(error)), 503)
    return _make_response(render_message("The tables cannot be read", str(error)), 503)


def _make_response(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text, status, headers=dict(headers or {}), media_type="text/html")
