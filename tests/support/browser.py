"""A real browser without a network, and servers of the dashboard for it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.waiting import block_until

# Debian's package; never one that playwright downloads.
CHROMIUM = shutil.which("chromium")
# Without a sandbox, which containers lack; what it opens is our own.
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serves an ASGI application on a free port of the loopback; yields its URL."""
    import uvicorn

    config = uvicorn.Config(app, port=0, log_level="error", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="served-dashboard")
    thread.start()
    try:
        block_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def open_browser() -> Iterator[Any]:
    """Yields Chromium, driven by playwright."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
