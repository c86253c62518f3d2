"""The pages in a real browser: nothing refused, nothing wide, all reachable, all readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from projections import Views
from projections.web.app import Dashboard
from projections.web.page_maker import PageMaker
from projections.web.report import make_report
from projections.web.serving import TokenGuard
from tests.support import hostile_runs
from tests.support.browser import CHROMIUM, open_browser, serving
from tests.support.screenshots import list_pages
from tests.support.shown_sources import list_hostile_reports, list_reports
from tests.support.shown_week import NOW, fill_week
from tests.support.waiting import block_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
WIDTHS = (390, 600, 768, 900, 1200)
SCHEMES = ("light", "dark")
ZONE = "Europe/Berlin"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as running:
        yield running


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('week') / 'runs.db'}"
    fill_week(url, 60)
    return url


@pytest.fixture(scope="module")
def app(week: str) -> Iterator[Dashboard]:
    with Views(week) as views:
        sources = partial(list_reports, NOW)
        yield Dashboard(PageMaker(views, tz=ZONE, clock=lambda: NOW, sources=sources))


@pytest.fixture(scope="module")
def pages(app: Dashboard) -> Iterator[dict[str, str]]:
    with serving(app) as base:
        yield {name: f"{base}/{path}" for name, path in list_pages(app.maker.views).items()}


@contextmanager
def opened(browser: Any, **options: Any) -> Iterator[tuple[Any, list[str]]]:
    """Yields a page, and all that it says or asks of other hosts, which nobody answers."""
    context = browser.new_context(**options)
    context.set_default_timeout(120_000)
    said: list[str] = []

    def answer(route: Any) -> None:
        if route.request.url.startswith(("http://127.0.0.1:", "file:", "data:")):
            route.continue_()
        else:
            said.append(route.request.url)
            route.abort()

    context.route("**/*", answer)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    try:
        yield page, said
    finally:
        context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_page_says_anything_asks_elsewhere_or_is_too_wide(
    browser: Any, pages: dict[str, str], scheme: str
) -> None:
    wide = []
    with opened(browser, color_scheme=scheme) as (page, said):
        for name, address in pages.items():
            page.goto(address)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                root = "document.documentElement"
                over = page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
                if over > 0:
                    wide.append((name, width, over))
    assert wide == []
    assert said == []


def test_the_report_needs_no_network(browser: Any, week: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    with Views(week) as views:
        file.write_bytes(make_report(views, since="2026-11-20", until="2026-11-27", tz=ZONE))
    with opened(browser, offline=True, java_script_enabled=False) as (page, said):
        page.goto(file.as_uri())
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            root = "document.documentElement"
            assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0, width
        # Its style is the one that its policy allows.
        margin = "getComputedStyle(document.body).marginTop"
        assert page.evaluate(margin) == "0px"
        assert page.locator("script").count() == 0
    assert said == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(browser: Any, pages: dict[str, str], scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = []
    # axe is put into the page, which the policy refuses.
    with opened(browser, color_scheme=scheme, bypass_csp=True) as (page, _):
        for name, address in pages.items():
            page.goto(address)
            for it in Axe().run(page).response["violations"]:
                if it["impact"] in ("serious", "critical"):
                    nodes = [node["html"][:160] for node in it["nodes"][:3]]
                    found.append((name, it["id"], nodes))
    assert found == []


REACHABLE = """[...document.querySelectorAll(
  'a[href], button, input:not([type=hidden]), select, summary, [tabindex="0"]')].filter(
  (it) => it.checkVisibility({ visibilityProperty: true }))"""


@pytest.mark.parametrize("name", ["overview", "runs", "run", "thread", "compare", "health"])
def test_all_is_reached_by_the_keyboard(browser: Any, pages: dict[str, str], name: str) -> None:
    with opened(browser, viewport={"width": 1200, "height": 900}) as (page, said):
        # Nothing is refreshed meanwhile, however long it takes.
        page.clock.install()
        page.clock.pause_at(datetime(2100, 1, 1, tzinfo=UTC))
        page.goto(pages[name])
        number = page.evaluate(f"{REACHABLE}.length")
        assert number > 8
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        for _ in range(number + 5):
            page.evaluate("document.activeElement.dataset.reached = 1")
            ring = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            assert ring == "2px" or page.evaluate("document.activeElement === document.body")
            page.keyboard.press("Tab")
        missed = f"{REACHABLE}.filter((it) => !it.dataset.reached).map((it) => it.outerHTML)"
        assert page.evaluate(missed) == []
    assert said == []


def test_it_works_without_javascript(browser: Any, pages: dict[str, str]) -> None:
    with opened(browser, java_script_enabled=False) as (page, said):
        page.goto(pages["overview"])
        page.get_by_role("link", name="Runs", exact=True).click()
        page.get_by_label("Outcome").select_option("failed")
        page.get_by_role("button", name="Filter").click()
        assert "outcome=failed" in page.url
        page.locator("td.id a").first.click()
        page.get_by_role("link", name="1", exact=True).first.click()
        assert "event=1" in page.url
        page.locator(".ctl summary").nth(1).click()
        page.get_by_label("Times and days in").select_option("UTC")
        page.get_by_role("button", name="Use").click()
        assert "tz=UTC" in page.url
        page.locator(".ctl summary").first.click()
        page.get_by_label("Show everything as it was known at").fill("2026-11-26T16:42:00")
        page.get_by_role("button", name="Show").click()
        assert "at=2026-11-26T16%3A42" in page.url
    assert said == []


def test_hostile_texts_do_nothing(browser: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    ids = [it.replace("\x00", "") for it in hostile_runs.fill(url)]
    asked: list[str] = []
    with Views(url) as views:
        names = {it: f"{it}'\"" for it in hostile_runs.HOSTILE}
        reports = [
            report
            for text in hostile_runs.HOSTILE
            for report in list_hostile_reports(hostile_runs.NOW, text)
        ]
        maker = PageMaker(
            views, clock=lambda: hostile_runs.NOW, names=names, sources=lambda: reports
        )
        app = Dashboard(maker)
        with serving(app) as base, opened(browser) as (page, said):
            page.on("request", lambda it: asked.append(it.url))
            page.goto(f"{base}/runs?since=all")
            links = page.eval_on_selector_all("td.id a", "all => all.map(it => it.href)")
            assert len(links) == len(ids)
            paths = ["", "?since=28d", "compare", "compare?by=model", "health", "runs?since=all"]
            for link in [*(f"{base}/{it}" for it in paths), *links]:
                answer = page.goto(link)
                assert answer.status == 200, link
                for thread in page.eval_on_selector_all(
                    "dd a[href*=threads]", "all => all.map(it => it.href)"
                ):
                    assert page.goto(thread).status == 200, thread
                strange = "script:not([src]), img, iframe, object, embed, main style, [onload]"
                assert page.locator(strange).count() == 0
            report = tmp_path / "report.html"
            report.write_bytes(make_report(views))
            page.goto(report.as_uri())
        assert said == []
        assert not [it for it in asked if not it.startswith((f"{base}/", report.as_uri()))]


DETAILS = "document.querySelector('details')"


class Counted:
    """An application that counts what is asked of it, and can refuse it."""

    def __init__(self, app: Any) -> None:
        self.app, self.count, self.status = app, 0, 200

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if "/static/" not in scope["path"]:
            self.count += 1
            if self.status != 200:
                await PlainTextResponse("no", self.status)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def test_pages_are_refreshed_while_somebody_looks(browser: Any, week: str) -> None:
    with Views(week) as views:
        # At each look it is later, and ages are shown.
        looks = iter(range(10_000))
        app = Counted(Dashboard(PageMaker(views, tz=ZONE, clock=lambda: _later(next(looks)))))
        with serving(app) as base, opened(browser) as (page, said):
            page.clock.install()
            page.goto(base)

            def refreshes() -> bool:
                page.evaluate("document.querySelector('main').dataset.old = '1'")
                before = app.count
                page.clock.run_for(5_100)
                return _happens(lambda: app.count > before, page)

            def is_new() -> bool:
                return page.evaluate("!document.querySelector('main').dataset.old") is True

            assert refreshes()
            block_until(is_new)
            # What has the focus keeps it.
            page.evaluate("document.querySelector('main').focus()")
            assert refreshes()
            block_until(is_new)
            assert page.evaluate("document.activeElement.id") == "main"
            for busy, idle in (
                (f"{DETAILS}.open = true", f"{DETAILS}.open = false"),
                (
                    f"{DETAILS}.open = true; document.querySelector('.ctl input').focus()",
                    f"document.activeElement.blur(); {DETAILS}.open = false",
                ),
                (_hide("true"), _hide("false")),
            ):
                page.evaluate(busy)
                before = app.count
                page.clock.run_for(60_000)
                assert app.count == before
                page.evaluate(idle)
            assert refreshes()
            block_until(is_new)

            app.status = 500
            assert refreshes()
            words = "document.querySelector('.age').textContent"
            block_until(lambda: "service does not answer" in page.evaluate(words))
            # The pause is twice as long.
            assert not refreshes()
            app.status = 200
            assert refreshes()
            block_until(is_new)
            app.status = 401
            assert refreshes()
            block_until(lambda: "log in again" in page.evaluate(words))
            before = app.count
            page.clock.run_for(600_000)
            assert app.count == before
            # The browser tells of both refusals, and nothing else is said.
            assert [it for it in said if "Failed to load resource" not in it] == []

            app.status, before = 200, app.count
            page.goto(f"{base}/?at=2026-11-25T12:00")
            page.clock.run_for(600_000)
            assert app.count == before + 1


def _later(number: int) -> datetime:
    return NOW + timedelta(seconds=10 * number)


def _hide(value: str) -> str:
    return (
        f"Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {value} }})"
    )


def _happens(condition: Callable[[], bool], page: Any) -> bool:
    """Returns whether a condition comes true soon after the timers of a page have run."""
    for _ in range(20):
        if condition():
            return True
        # What is not counted takes longer than what is waited for.
        page.request.head(urljoin(page.url, "/static/nothing"))
    return condition()


def test_all_links_work_below_a_prefix_behind_a_proxy(browser: Any, app: Dashboard) -> None:
    class Proxy:
        """Takes the prefix away, and tells nobody of it."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            path = scope["path"]
            if scope["type"] == "http" and not path.startswith("/a/b/"):
                await PlainTextResponse("not below the prefix", 404)(scope, receive, send)
                return
            await app({**scope, "path": path[4:], "raw_path": None}, receive, send)

    for host in (Proxy(), Starlette(routes=[Mount("/a/b", app)])):
        with serving(host) as base, opened(browser) as (page, said):
            page.goto(f"{base}/a/b/")
            for name in ("Runs", "Compare", "Health", "Overview"):
                page.get_by_role("link", name=name, exact=True).click()
                assert page.url.startswith(f"{base}/a/b/")
                assert page.locator("nav [aria-current=page]").inner_text() == name
            page.goto(f"{base}/a/b/runs?since=all&q=run_shown00000000000")
            assert page.url.startswith(f"{base}/a/b/runs/assistants/run_shown00000000000")
            page.locator("dd a[href*=threads]").click()
            assert page.url.startswith(f"{base}/a/b/threads/")
            page.locator("tbody a.mono").first.click()
            assert page.url.startswith(f"{base}/a/b/runs/")
            page.get_by_role("link", name="runfold").click()
            assert page.url.rstrip("/") == f"{base}/a/b"
        assert said == []


def test_a_token_opens_the_pages_and_leaves_the_address(browser: Any, app: Dashboard) -> None:
    guarded = TokenGuard(app, "s3cret-of-this-test", "127.0.0.1")
    with serving(guarded) as base, opened(browser) as (page, said):
        assert page.goto(base).status == 401
        page.goto(f"{base}/runs?token=s3cret-of-this-test&since=all")
        assert page.url == f"{base}/runs?since=all"
        page.get_by_role("link", name="Compare", exact=True).click()
        assert page.get_by_role("heading", name="Compare", exact=True).is_visible()
        assert page.evaluate("document.cookie") == ""
    assert [it for it in said if "401" not in it] == []
