"""Ways into runfold for odd documents, with good runs among them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.fuzzing.laws import (
    GOOD_THREAD,
    BrokenLaw,
    RememberingStore,
    check_kept,
    good_runs,
    require,
)
from tests.support.command_line import runfold, write_lines
from tests.support.loopback import listening
from tests.support.secret_search import MARK
from tracker import Tracker, open_event_store
from tracker.errors import RunfoldError
from tracker.polling.policy.cadence import Cadence
from tracker.sources import AgentTurns, Assistants, LangGraph, Responses
from tracker.webhooks import sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAGE = 50
_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_BUSY = b"HTTP/1.1 503 No\r\nRetry-After: 3000\r\nContent-Length: 0\r\n\r\n"

# Takes the database, a folder, the documents, and whether each is a run of its own.
Door = Callable[[str, Path, Sequence[bytes], bool], None]


def import_file(url: str, folder: Path, documents: Sequence[bytes], own_ids: bool) -> None:
    """Imports a file; again, if each document is a run of its own."""
    first, *others = good_runs()
    middle = len(documents) // 2
    lines = [first, *documents[:middle], *others, *documents[middle:]]
    file = write_lines(folder / "odd.jsonl", *lines)
    done = runfold("import", file, "--db", url)
    require(done.code in (0, 1), f"import exits with {done.code}: {done.err}")
    if own_ids:
        again = runfold("import", file, "--db", url)
        require("0 new events" in again.out, f"the second import adds: {again.out}")


class Service:
    """An HTTP server that answers with the bodies of a list, in order."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of one connection."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"content-length: " in head.lower():
                length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
            body = self.bodies.pop(0) if self.bodies else None
            writer.write(_BUSY if body is None else _JSON % len(body) + body)
            await writer.drain()


Scenario = Callable[[Tracker, Service, str, Sequence[bytes]], Awaitable[None]]


def through_tracker(scenario: Scenario) -> Door:
    """Returns a door of an open tracker with one source of each API."""

    def door(url: str, folder: Path, documents: Sequence[bytes], own_ids: bool) -> None:
        with _strict_logging():
            asyncio.run(_run(scenario, url, documents))

    return door


async def _run(scenario: Scenario, url: str, documents: Sequence[bytes]) -> None:
    unhandled: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    async with _opened(url) as (tracker, service, base_url, store):
        await scenario(tracker, service, base_url, documents)
        session = tracker._session
        assert session is not None
        streams = [stream for stream in store.appended if not stream.startswith("configuration")]
        check_kept(store, {stream: session.repository.state(stream) for stream in streams})
    require(not unhandled, f"nobody handled: {unhandled}")


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[tuple[Tracker, Service, str, RememberingStore]]:
    service = Service()
    opened = open_event_store(url)
    store = RememberingStore(opened)
    try:
        async with listening(service.answer) as port:
            base_url = f"http://127.0.0.1:{port}/v1"
            settings: dict[str, Any] = {"base_url": base_url, "api_key": MARK}
            sources = (
                Assistants(**settings),
                Responses(**settings),
                LangGraph(**settings),
                AgentTurns(**settings),
            )
            cadence = Cadence(shortest=500, longest=1000)
            tracker = Tracker(
                store,  # type: ignore[arg-type]
                *sources,
                resume=False,
                steps="never",
                cadence=cadence,
            )
            async with tracker:
                yield tracker, service, base_url, store
    finally:
        opened.close()


@contextmanager
def _strict_logging() -> Iterator[None]:
    """Raises BrokenLaw at the end if anything logged an error or a traceback."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR or record.exc_info:
                records.append(record)

    handler = Collector()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    if records:
        formatter = logging.Formatter()
        raise BrokenLaw(f"logged: {[formatter.format(record) for record in records[:3]]}")


def _with_good_runs(documents: Sequence[bytes]) -> list[bytes]:
    good = [json.dumps(body).encode() for body in good_runs()]
    middle = len(documents) // 2
    return [good[0], *documents[:middle], good[1], *documents[middle:], good[2]]


async def observe(
    tracker: Tracker, service: Service, base_url: str, documents: Sequence[bytes]
) -> None:
    """Hands each document to `observe`, as bytes, as a text or as a mapping."""
    for number, document in enumerate(_with_good_runs(documents)):
        payload: Any = document
        if number % 3 == 1:
            payload = document.decode("utf-8", "surrogateescape" if number % 2 else "replace")
        elif number % 3 == 2:
            try:
                payload = json.loads(document)
            except (ValueError, RecursionError):
                payload = document
        source = (None, None, "assistants", "responses")[number % 4]
        if b"run_good" in document:
            source = None
        try:
            tracker.observe(payload, source=source)
        except RunfoldError as error:
            require(b"run_good" not in document, f"a good run is refused: {error}")
        if number % 50 == 0:
            await asyncio.sleep(0)


def _path_of(document: bytes) -> str:
    """Returns the path of a document's run, or of another run if it tells none."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        found = None
    ids = [found.get(name) if isinstance(found, dict) else None for name in ("thread_id", "id")]
    thread, run = [it if isinstance(it, str) and it.isidentifier() else "odd" for it in ids]
    return f"/threads/{thread}/runs/{run}"


async def list_pages(
    tracker: Tracker, service: Service, base_url: str, documents: Sequence[bytes]
) -> None:
    """Backfills threads whose pages of runs have odd documents among good ones."""
    pages = [documents[it : it + PAGE] for it in range(0, len(documents), PAGE)]
    for page in pages:
        service.bodies = [
            b'{"object":"list","has_more":false,"data":[%s]}' % b",".join(_with_good_runs(page))
        ]
        try:
            await tracker.backfill(GOOD_THREAD, source="assistants", steps=False, watch=False)
        except RunfoldError as error:
            raise BrokenLaw(f"a page is refused: {error}") from error


async def read_streams(
    tracker: Tracker, service: Service, base_url: str, documents: Sequence[bytes]
) -> None:
    """Passes streams of events by: nothing raises, and each item comes out as it came in."""
    events: list[bytes] = []
    for number, document in enumerate(_with_good_runs(documents)):
        kind = (b"thread.run.completed", b"response.completed", b"thread.run.step.completed", b"")
        name = b"thread.run.completed" if b"run_good" in document else kind[number % 4]
        if name.startswith(b"response"):
            document = b'{"type":"response.completed","response":%s}' % document
        events.append((b"event: %s\n" % name if name else b"") + b"data: %s\n\n" % document)

    async def stream(items: Sequence[bytes]) -> AsyncIterator[bytes]:
        for item in items:
            yield item

    source = None
    for name in ("assistants", "responses"):
        ours = [it for it in events if (b"response.completed" in it) is (name == "responses")]
        source = name
        passed = [it async for it in tracker.observing(stream(ours), source=source)]
        require(passed == ours, "a stream is changed on its way")


async def receive_webhooks(
    tracker: Tracker, service: Service, base_url: str, documents: Sequence[bytes]
) -> None:
    """Receives signed webhooks whose data are odd documents."""
    for number, document in enumerate(_with_good_runs(documents)):
        kind = (b"thread.run.completed", b"response.completed", b"batch.completed", b"")[number % 4]
        body = document
        if kind and b"run_good" not in document:
            body = b'{"id":"evt_%d","object":"event","type":"%s","data":%s}' % (
                number,
                kind,
                document,
            )
        headers = sign(body, SECRET, f"wh_{number}", datetime.now(UTC))
        try:
            await tracker.webhook(body, headers, secret=SECRET, timeout=0.01)
        except RunfoldError as error:
            require(b"run_good" not in document, f"a good run is refused: {error}")


async def overhear_answers(
    tracker: Tracker, service: Service, base_url: str, documents: Sequence[bytes]
) -> None:
    """Overhears the answers of a captured client, which gets each as it was sent."""
    async with httpx.AsyncClient(base_url=base_url) as client:
        tracker.capture(client, "assistants")
        for document in _with_good_runs(documents):
            service.bodies = [document]
            answer = await client.get(_path_of(document))
            require(answer.content == document, "an overheard answer is changed")
    await tracker.drain()


DOORS: dict[str, Door] = {
    "import": import_file,
    "observe": through_tracker(observe),
    "pages": through_tracker(list_pages),
    "streams": through_tracker(read_streams),
    "webhooks": through_tracker(receive_webhooks),
    "capture": through_tracker(overhear_answers),
}
# Their documents are parts of a larger one, so that only what is JSON says something of them.
WELL_FORMED = frozenset({"pages", "streams", "webhooks"})
