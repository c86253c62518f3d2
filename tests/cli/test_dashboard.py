"""`runfold report`, `serve` and `top`: a file, a server and a view in the terminal."""

import os
import re
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.command_line import finish, runfold, start
from tests.support.shown_week import SOURCE, fill_week
from tests.support.terminal_screen import show
from tracker.cli.dashboard.report import require_dashboard
from tracker.errors import SettingsError

pytestmark = pytest.mark.integration

RUN = "run_shown00000000000"


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('week') / 'runs.db'}"
    fill_week(url, 40)
    return url


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("RUNFOLD_DB", "RUNFOLD_TZ", "RUNFOLD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_report_is_one_file_that_needs_nothing_else(week: str, folder: Path) -> None:
    done = runfold("report", "--db", week, "--since", "2026-11-20", "--tz", "Europe/Berlin")
    assert (done.code, done.out) == (0, "The report is runfold-report.html\n")
    [file] = folder.iterdir()
    text = file.read_text("utf-8")
    assert len(text) < 500_000
    assert "default-src &#39;none&#39;; style-src &#39;sha256-" in text
    assert not re.search(r"<script|<link rel=.stylesheet|<img|https?://|@import|url\((?!#)", text)
    anchors = set(re.findall(r'href="#([\w-]+)"', text)) - {"main"}
    assert {it for it in anchors if it.startswith("run-")}
    assert all(f'id="{it}"' in text for it in anchors)
    assert "CET" in text


def test_a_report_is_written_elsewhere_of_a_run_or_of_the_past(week: str, folder: Path) -> None:
    one = ("--run", RUN, "--source", SOURCE)
    said = finish(start("report", "-", "--db", week, *one, folder=folder))
    assert said.code == 0
    assert f'<h1 class="id">{RUN}</h1>' in said.out
    assert "The report is" not in said.out
    past = runfold("report", "old.html", "--db", week, "--at", "2026-11-25T12:00")
    assert past.code == 0
    text = (folder / "old.html").read_text("utf-8")
    assert "as it was known at <b>Wed 25 Nov 2026, 12:00:00 UTC</b>" in text
    assert RUN not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--run", "nobody"), "no run 'nobody'"),
        (("--since", "never"), "is no time"),
        (("--tz", "Europe/Nowhere"), "time zone"),
        (("none/out.html",), "none"),
    ],
)
def test_a_report_that_cannot_be_made_leaves_no_file(
    week: str, folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = runfold("report", "--db", week, *arguments)
    assert done.code == (1 if "--run" in arguments else 2)
    assert words in done.message
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["jinja2", "pygal"])
def test_without_its_libraries_the_cure_is_named(
    week: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    require_dashboard()
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=r'pip install "runfold\[dashboard\]"'):
        require_dashboard()
    for command in ("report", "serve", "top"):
        done = runfold(command, "--db", week)
        assert done.code == 2
        assert done.message.endswith('pip install "runfold[dashboard]"')


def test_the_server_needs_libraries_of_its_own(week: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "the server needs its libraries" in runfold("serve", "--db", week).message


def test_others_reach_the_server_with_a_token_of_ours_only(week: str) -> None:
    done = runfold("serve", "--db", week, "--host", "0.0.0.0")
    assert "choose a token with --token or RUNFOLD_TOKEN" in done.message


def test_the_server_answers_who_has_its_token_and_asks_for_its_host(
    week: str, folder: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start("serve", "--db", week, "--port", port, folder=folder)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("Open ").strip()
        base, token = address.split("/?token=")
        assert base == f"http://127.0.0.1:{port}"
        assert len(token) >= 43
        transport = httpx.HTTPTransport(retries=50)
        with httpx.Client(base_url=base, transport=transport, timeout=300) as client:
            answers = [client.get("/"), client.get("/?token=wrong")]
            assert [it.status_code for it in answers] == [401, 401]
            answers.append(client.get("/", headers={"Host": "evil.example"}))
            assert answers[-1].status_code == 421
            answers.append(client.get("/runs", params={"token": token, "since": "all"}))
            assert (answers[-1].status_code, answers[-1].headers["location"]) == (303, "?since=all")
            for path in ("/", "/runs", "/health", "/nothing"):
                answers.append(client.get(path))
                assert answers[-1].status_code == (404 if path == "/nothing" else 200)
            answers.append(client.get("/", headers={"Host": "evil.example"}))
            assert answers[-1].status_code == 421
            for it in answers:
                assert it.headers["content-security-policy"].startswith("default-src 'none'")
    finally:
        process.send_signal(signal.SIGINT)
    done = finish(process)
    assert token not in done.out + done.err
    assert done.code == 130


def test_top_prints_once_without_a_terminal(week: str) -> None:
    done = runfold("top", "--db", week, "--tz", "Europe/Berlin")
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("runfold  ")
    titles = [it.partition(":")[0] for it in lines if it and not it.startswith(" ")]
    assert titles[1:] == ["Needs you now", "Open", "Last ended", "Sources"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of Unix")
@pytest.mark.parametrize(("key", "code"), [("q", 0), ("\x03", 130)])
def test_top_fits_a_terminal_until_a_key(week: str, folder: Path, key: str, code: int) -> None:
    def leave(process: object, keyboard: int) -> None:
        if key == "q":
            os.write(keyboard, b"q")
        else:
            process.send_signal(signal.SIGINT)  # type: ignore[attr-defined]

    shown = show(
        *("top", "--db", week, "--tz", "Europe/Berlin"),
        folder=folder,
        until=lambda lines: any(it.startswith("Sources") for it in lines),
        leave=leave,
    )
    assert shown.code == code
    assert shown.lines[0].startswith("runfold  ")
    begun = [it.split(":")[0].strip() for it in shown.lines]
    places = [begun.index(it) for it in ("Needs you now", "Open", "Last ended", "Sources")]
    assert places == sorted(places)
    # Lists are cut, and say by how much.
    assert re.search(r"^  and \d+ more", "\n".join(shown.lines), re.MULTILINE)
