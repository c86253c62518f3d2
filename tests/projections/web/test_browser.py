"""The pages in a real browser without a network: nothing refused, nothing wide, all reachable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from projections import Views
from projections.web.app import Dashboard
from projections.web.page_maker import PageMaker
from tests.support import hostile_runs
from tests.support.browser import CHROMIUM, open_browser, serving
from tests.support.screenshots import list_pages
from tests.support.shown_week import NOW, fill_week

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
WIDTHS = (390, 600, 768, 900, 1200)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('week') / 'runs.db'}"
    fill_week(url, 30)
    with Views(url) as views:
        app = Dashboard(PageMaker(views, tz="Europe/Berlin", clock=lambda: NOW))
        with serving(app) as base:
            yield {name: f"{base}/{path}" for name, path in list_pages(views).items()}


def test_no_page_says_anything_asks_elsewhere_or_is_too_wide(
    browser: Any, pages: dict[str, str]
) -> None:
    said: list[str] = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on(
            "request", lambda request: said.append(request.url) if _is_foreign(request) else None
        )
        for name, address in pages.items():
            page.goto(address)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                root = "document.documentElement"
                over = page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
                assert over <= 0, (name, width)
        context.close()
    assert said == []


def _is_foreign(request: Any) -> bool:
    return not request.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, pages: dict[str, str], scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    # axe is put into the page, which the policy refuses.
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    found = []
    for name, address in pages.items():
        page.goto(address)
        for it in Axe().run(page).response["violations"]:
            if it["impact"] in ("serious", "critical"):
                found.append((name, it["id"], [node["html"][:200] for node in it["nodes"][:3]]))
    context.close()
    assert found == []


def test_it_works_without_javascript_and_by_keyboard(browser: Any, pages: dict[str, str]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["overview"])
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs**")
    page.get_by_label("Outcome").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    assert "outcome=failed" in page.url
    context.close()


def test_hostile_texts_do_nothing(browser: Any, tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    ids = [it.replace("\x00", "") for it in hostile_runs.fill(url)]
    said: list[str] = []
    with Views(url) as views:
        maker = PageMaker(views, clock=lambda: hostile_runs.NOW)
        with serving(Dashboard(maker)) as base:
            context = browser.new_context()
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("dialog", lambda dialog: said.append(dialog.message))
            page.goto(f"{base}/runs?since=all")
            links = page.eval_on_selector_all("td.id a", "all => all.map(it => it.href)")
            assert len(links) == len(ids)
            for link in [base, f"{base}/compare", *links[::3]]:
                answer = page.goto(link)
                assert answer.status == 200, link
            context.close()
    assert said == []
