"""The templates, and the two files that pages load."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from projections.web import words
from projections.web.page import Page

PAGES = (("", "Overview"), ("runs", "Runs"), ("compare", "Compare"), ("health", "Health"))
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
_HOME = Path(__file__).parent
_SPACES = re.compile(r">\s*\n\s*<")


@lru_cache(maxsize=1)
def read_style() -> str:
    """Returns the style sheet, without its line breaks."""
    return (_HOME / "style.css").read_text("utf-8").replace("\n", "")


@lru_cache(maxsize=1)
def list_files() -> dict[str, tuple[str, bytes]]:
    """Returns the files that pages load, by the names with their digests: type and content."""
    style, script = read_style().encode(), (_HOME / "refresh.js").read_bytes()
    return {
        f"{sha256(style).hexdigest()[:16]}.css": ("text/css; charset=utf-8", style),
        f"{sha256(script).hexdigest()[:16]}.js": ("text/javascript; charset=utf-8", script),
    }


def make_report_policy() -> str:
    """Returns the policy of the report, which allows its own style and nothing else."""
    digest = base64.b64encode(sha256(read_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'"


def render(template: str, page: Page, values: Mapping[str, Any], *, section: str = "") -> str:
    """Returns the HTML of a page."""
    style_file, script_file = list_files()
    hour = timedelta(hours=1)
    text = (
        _make_environment()
        .get_template(template)
        .render(
            page=page,
            pages=PAGES,
            section=section,
            style_file=style_file,
            script_file=script_file,
            # Our own text: the style of the report is part of its file.
            style=Markup(read_style()) if page.is_report else "",
            report_policy=make_report_policy() if page.is_report else "",
            refresh=None if page.at or page.is_report else (10 if section == "health" else 5),
            read_at=page.time.now,
            hour_ago=page.now - hour,
            hour_later=page.now + hour,
            day_ago=page.now - 24 * hour,
            **values,
        )
    )
    return _SPACES.sub("><", text)


def render_message(headline: str, text: str) -> str:
    """Returns the HTML of a message where not even the frame of a page can be made."""
    return _make_environment().get_template("bare.html").render(headline=headline, text=text)


@lru_cache(maxsize=1)
def _make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HOME / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_make_safe,
        auto_reload=False,
    )
    environment.filters |= {
        "cut": lambda text, longest=words.LONGEST_TEXT: words.cut_text(str(text), longest),
        "short": lambda text, longest=24: words.shorten(str(text), longest),
        "short_id": words.shorten_id,
        "status_word": words.describe_status,
        "status_class": words.status_class,
        "duration": words.format_duration,
        "fine_duration": lambda seconds: words.format_duration(seconds, is_fine=True),
        "money": words.format_dollars,
        "share": words.format_percent,
    }
    return environment


def _make_safe(value: Any) -> Any:
    """Escapes what controls or reorders text in each text that a template writes."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return words.escape_unsafe(value)
    return value
