"""The pages over HTTP: every page, every state of it, and every header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from projections import Views, dashboard
from projections.web import app as app_module
from projections.web.app import Dashboard
from projections.web.page import quote_part
from projections.web.page_maker import PageMaker
from projections.web.rendering import POLICY
from projections.web.serving import COOKIE, TokenGuard
from tests.support import hostile_runs
from tests.support.shown_sources import list_hostile_reports
from tests.support.shown_week import NOW, SOURCE, fill_week
from tracker.errors import RunfoldError

RUN = f"/runs/{SOURCE}/run_shown00000000000"
THREAD = f"/threads/{SOURCE}/thread_shown0000000000000"
PATHS = (
    *("/", "/?since=24h", "/?since=28d", "/?since=all", "/?since=2026-11-20&until=2026-11-24"),
    *("/runs", "/runs?sort=time", "/runs?sort=dollars&since=all", "/runs?metadata=team=finance"),
    *("/runs?outcome=failed&assistant=asst_refunds&model=gpt-4o&source=assistants",),
    *(RUN, f"{RUN}?event=2&scale=true", THREAD, "/compare", "/compare?by=model&since=28d"),
    *("/compare?by=source", "/compare?by=metadata.team", "/health"),
)


class Elements(HTMLParser):
    """The elements, addresses and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [
            value or "" for name, value in attrs if name in ("href", "src", "action")
        ]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('week') / 'runs.db'}"
    fill_week(url, 40)
    return url


@pytest.fixture
def client(week: str) -> Iterator[TestClient]:
    with Views(week) as views:
        yield TestClient(make_app(views))


def make_app(views: Views, **more: object) -> Dashboard:
    return Dashboard(PageMaker(views, tz="Europe/Berlin", clock=lambda: NOW, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_answered(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-security-policy"] == POLICY
    found = Elements(answer.text)
    assert answer.text.count("<h1") == 1
    assert not {"style", "onclick"} & found.attributes
    assert not [it for it in found.addresses if it.startswith(("/", "http", "javascript"))]


@pytest.mark.integration
def test_every_page_is_answered_on_both_databases(database_url: str) -> None:
    fill_week(database_url, 15)
    with Views(database_url) as views:
        served = TestClient(make_app(views))
        for path in PATHS:
            assert served.get(path).status_code == 200, path


def test_the_first_page_has_the_numbers_of_the_views(client: TestClient, week: str) -> None:
    text = client.get("/?since=all").text
    with Views(week) as views:
        counts = views.status_counts()
        assert f"<dd>{sum(it.runs for it in counts):,}</dd>" in text
        waiting = views.runs(status="requires_action")
    for run in waiting:
        assert run.run_id in text
    assert "Overdue: should have ended 1 h 12 min ago" in text
    assert "run_shown00000000000" in client.get("/runs").text


def test_links_keep_the_zone_and_the_moment(client: TestClient) -> None:
    text = client.get("/?tz=UTC&at=2026-11-25T12:00&since=28d").text
    links = [it for it in Elements(text).addresses if it.startswith("./runs")]
    assert links
    assert all("tz=UTC" in it and "at=2026-11-25T12%3A00" in it for it in links)
    assert "as it was known at <b>Wed 25 Nov 2026, 12:00:00 UTC</b>" in text
    assert "data-refresh" not in text


def test_the_past_shows_what_was_known_then(client: TestClient) -> None:
    assert "No runs yet" in client.get("/?at=2020-01-01").text
    now, past = (client.get(f"/runs?since=all{it}").text for it in ("", "&at=2026-11-26T15:55"))
    assert "run_shown00000000000" in now
    assert "run_shown00000000000" not in past


def test_pages_of_runs_go_on_until_there_are_no_more(client: TestClient, week: str) -> None:
    for sort in ("began", "time", "dollars"):
        url, seen = f"/runs?since=all&sort={sort}", []
        while url:
            text = client.get(url).text
            seen += re.findall(r'href="\./runs/assistants/(\w+)\?*[^"]*" title', text)
            following = re.search(r'href="\.(/runs[^"]+cursor=[^"]+)">Next', text)
            url = following[1].replace("&amp;", "&") if following else ""
        with Views(week) as views:
            known = views.runs()
        wanted = {it.run_id for it in known if sort == "began" or it.outcome is not None}
        assert len(seen) == len(set(seen))
        assert set(seen) <= wanted
        assert len(seen) >= len(wanted) - 2


def test_an_id_that_is_typed_in_leads_to_its_page(client: TestClient) -> None:
    for wanted, place in (
        ("run_shown00000000000", f".{RUN}"),
        ("thread_shown0000000000000", f".{THREAD}"),
    ):
        answer = client.get("/runs", params={"q": wanted}, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(place)
    assert "No run and no thread" in client.get("/runs?q=nobody").text


def test_filters_without_a_run_can_be_taken_away(client: TestClient) -> None:
    text = client.get("/runs?outcome=failed&model=gpt-9").text
    assert "Without model gpt-9" in text
    assert "Without outcome failed" in text


def test_a_run_is_stepped_through(client: TestClient) -> None:
    first = client.get(f"{RUN}?event=1").text
    assert "The run after event 1 of" in first
    assert "&#34;status&#34;: &#34;queued&#34;" in first
    last = client.get(RUN).text
    assert "&#34;status&#34;: &#34;completed&#34;" in last


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/runs/assistants/nobody", 404, "if new, catch up first"),
        ("/threads/assistants/nobody", 404, "no runs of a thread"),
        ("/nothing", 404, "no such page"),
        ("/static/nothing.css", 404, "no such page"),
        ("/?since=never", 400, "is no time"),
        ("/?tz=Europe/Nowhere", 400, "no time zone"),
        ("/?at=x", 400, "is no time"),
        ("/runs?cursor=x", 400, "is not a cursor"),
        ("/runs?sort=x", 400, "is no order"),
        ("/runs?metadata=x", 400, "team=finance"),
        ("/compare?by=x", 400, "is nothing to compare by"),
    ],
)
def test_a_wrong_request_is_explained(client: TestClient, path: str, code: int, text: str) -> None:
    answer = client.get(path)
    assert answer.status_code == code
    assert text in answer.text
    assert answer.headers["content-security-policy"] == POLICY


def test_only_reading_is_allowed(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = client.request(method, "/runs")
        assert answer.status_code == 405
        assert answer.headers["content-security-policy"] == POLICY
    head = client.head("/runs")
    assert (head.status_code, head.content) == (200, b"")


def test_a_page_that_is_known_costs_one_query(client: TestClient) -> None:
    tag = client.get("/").headers["etag"]
    again = client.get("/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/?since=24h", headers={"If-None-Match": tag}).status_code == 200


def test_both_files_are_kept_by_their_digests(client: TestClient) -> None:
    for address in re.findall(r"static/[^\"]+", client.get("/").text):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_an_unforeseen_error_is_a_page_without_detail(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(page: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(app_module.overview, "gather", fail)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"] == POLICY


def test_no_tables_and_no_database_are_explained(tmp_path: Path) -> None:
    with Views(f"sqlite:///{tmp_path / 'none.db'}") as views:
        answer = TestClient(dashboard(views)).get("/")
        assert answer.status_code == 503
        assert "no database at" in answer.text
        (tmp_path / "none.db").touch()
    with Views(f"sqlite:///{tmp_path / 'none.db'}") as views:
        answer = TestClient(dashboard(views)).get("/")
        assert answer.status_code == 503
        assert "runfold upgrade" in answer.text


@pytest.mark.integration
def test_an_empty_database_says_how_to_fill_it(database_url: str) -> None:
    with Views(database_url) as views:
        views.prepare(create=True)
        served = TestClient(make_app(views))
        for path in ("/", "/runs", "/compare", "/health"):
            assert served.get(path).status_code == 200
        assert "runfold demo" in served.get("/").text


def test_a_range_without_runs_leads_to_the_last_ones(week: str) -> None:
    with Views(week) as views:
        later = PageMaker(views, tz="UTC", clock=lambda: NOW + timedelta(days=90))
        text = TestClient(Dashboard(later)).get("/").text
    assert "No runs began in this range" in text
    assert "the last began" in text


def test_a_question_that_takes_too_long_leaves_only_its_panel_out(week: str) -> None:
    with Views(week) as views:
        text = TestClient(make_app(views, statement_seconds=-1.0)).get("/health").text
        answer = TestClient(make_app(views, statement_seconds=-1.0)).get("/")
    assert "Tables" in text or "took longer" in text
    assert answer.status_code in (200, 503)


def test_nothing_can_be_written_by_a_page(week: str) -> None:
    with (
        Views(week) as views,
        PageMaker(views).open("", {}) as page,
        pytest.raises(RunfoldError, match="readonly"),
        page.answers.connect() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM runs")
    with Views(week) as views:
        assert views.runs(limit=1)
        views.catch_up()


@pytest.mark.integration
def test_hostile_texts_make_no_element_and_no_address(database_url: str) -> None:
    ids = [it.replace("\x00", "") for it in hostile_runs.fill(database_url)]
    with Views(database_url) as views:
        reports = [
            report
            for text in hostile_runs.HOSTILE
            for report in list_hostile_reports(hostile_runs.NOW, text)
        ]
        maker = PageMaker(
            views,
            clock=lambda: hostile_runs.NOW,
            names={"x": "<i>"},
            sources=lambda: reports,
        )
        served = TestClient(Dashboard(maker))
        for run_id in ids:
            source = hostile_runs.SOURCE
            page = served.get(f"/runs/{source}/{quote_part(run_id)}")
            assert page.status_code == 200, run_id
            check_harmless(page.text)
        for path in ("/", "/runs", "/compare", "/compare?by=model", "/health"):
            check_harmless(served.get(path).text)
        for text in hostile_runs.HOSTILE:
            clean = text.replace("\x00", "")
            for name in ("q", "metadata", "assistant", "since", "tz", "at", "by", "cursor", "sort"):
                for path in ("/runs", "/compare", "/"):
                    answer = served.get(path, params={name: clean[:2_000]}, follow_redirects=False)
                    assert answer.status_code in (200, 303, 400, 404)
                    check_harmless(answer.text)


def check_harmless(page: str) -> None:
    found = Elements(page)
    assert found.tags <= TAGS, found.tags - TAGS
    assert not [it for it in found.attributes if it.startswith("on") or it == "style"]
    # An empty icon, so that browsers do not ask for one.
    addresses = [it.strip().lower() for it in found.addresses if it != "data:,"]
    assert not [it for it in addresses if it.startswith(("java", "data", "/"))]
    assert not set(page) & {"\x1b", "\x00", "\x07", "\u202e", "\u2066"}


TAGS = {
    *("html", "head", "meta", "title", "link", "script", "body", "a", "svg"),
    *("defs", "pattern", "rect", "symbol", "circle", "path", "header", "div", "nav"),
    *("details", "summary", "form", "label", "br", "input", "button", "p", "select"),
    *("option", "main", "h1", "h2", "h3", "section", "span", "b", "dl"),
    *("dt", "dd", "table", "thead", "tbody", "tfoot", "tr", "th", "td"),
    *("ul", "li", "i", "time", "code", "pre", "footer", "g", "text"),
    *("line", "lineargradient", "stop", "use"),
}


@pytest.mark.parametrize("run_id", ["..", ".", "a/b", "~x", "a b", "%2F", "ü", "a?b#c"])
def test_every_id_has_a_path_of_its_own(run_id: str) -> None:
    quoted = quote_part(run_id)
    assert "/" not in quoted
    assert quoted not in (".", "..")


def test_it_is_mounted_below_a_prefix_of_a_host(week: str) -> None:
    from fastapi import Depends, FastAPI, HTTPException, Request

    def require_login(request: Request) -> None:
        if request.headers.get("authorization") != "Bearer host":
            raise HTTPException(401)

    class Login:
        """The login of the host, in front of what is mounted."""

        def __init__(self, app: object) -> None:
            self.app = app

        async def __call__(self, scope: object, receive: object, send: object) -> None:
            request = Request(scope)  # type: ignore[arg-type]
            if request.headers.get("authorization") != "Bearer host":
                from starlette.responses import PlainTextResponse

                await PlainTextResponse("log in", 401)(scope, receive, send)  # type: ignore[arg-type]
                return
            await self.app(scope, receive, send)  # type: ignore[operator]

    host = FastAPI(dependencies=[Depends(require_login)])
    with Views(week) as views:
        host.mount("/ops/runs-of-ours", Login(make_app(views)))
        served = TestClient(host)
        assert served.get("/ops/runs-of-ours/").status_code == 401
        served.headers["Authorization"] = "Bearer host"
        for path in PATHS:
            answer = served.get(f"/ops/runs-of-ours{path}")
            assert answer.status_code == 200
            assert not [it for it in Elements(answer.text).addresses if it.startswith("/")]
            assert answer.headers["content-security-policy"] == POLICY


def test_the_server_of_its_own_wants_its_token_and_its_host(week: str) -> None:
    with Views(week) as views:
        app = TokenGuard(make_app(views), "s3cret", "127.0.0.1")
        served = TestClient(app, base_url="http://127.0.0.1:8765")
        for headers in ({}, {"Cookie": f"{COOKIE}=wrong"}):
            answer = served.get("/", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["content-security-policy"] == POLICY
        assert served.get("/?token=wrong").status_code == 401
        first = served.get("/runs?token=s3cret&since=all", follow_redirects=False)
        assert (first.status_code, first.headers["location"]) == (303, "?since=all")
        assert "HttpOnly" in first.headers["set-cookie"]
        assert "SameSite=Strict" in first.headers["set-cookie"]
        assert served.get("/runs?since=all").status_code == 200
        cookie = {"Cookie": f"{COOKIE}=s3cret"}
        for name in ("evil.example", "evil.example:8765", "", "127.0.0.1.evil.example"):
            answer = served.get("/", headers={**cookie, "Host": name})
            assert answer.status_code == 421
            assert answer.headers["content-security-policy"] == POLICY
        for name in ("localhost:8765", "[::1]:8765", "127.0.0.1"):
            assert served.get("/", headers={**cookie, "Host": name}).status_code == 200


def test_a_host_that_starts_a_starlette_application_mounts_it_too(week: str) -> None:
    with Views(week) as views:
        served = TestClient(Starlette(routes=[Mount("/a/b", dashboard(views))]))
        assert served.get("/a/b/").status_code == 200
        assert served.get("/a/b/health").status_code == 200


def test_names_are_shown_for_ids_and_never_in_their_place_on_a_run(week: str) -> None:
    names = {"asst_refunds": "Refunds <b>"}
    with Views(week) as views:
        served = TestClient(make_app(views, names=names))
        assert "Refunds &lt;b&gt;" in served.get("/compare").text
        page = served.get(RUN).text
    assert "asst_refunds" in page
