"""Validation of addresses, paths and headers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import httpx

from tracker.core.identifiers import LONGEST_ID
from tracker.errors import SettingsError


class QuietUrl(httpx.URL):
    """A URL that hides the values of some query parameters in logs, not in the request.

    httpx logs the address of every request.
    """

    def __init__(self, url: httpx.URL, hidden: Collection[str]) -> None:
        super().__init__(url)
        self._hidden = hidden

    def __str__(self) -> str:
        shown = [
            (name, "***" if name in self._hidden else value)
            for name, value in self.params.multi_items()
        ]
        return str(httpx.URL(self, params=shown)).replace("%2A%2A%2A", "***")

    def __repr__(self) -> str:
        return f"QuietUrl({str(self)!r})"


def service_url(text: str) -> httpx.URL:
    """Returns the address of an API, without a trailing slash. Raises SettingsError.

    The message does not repeat the address, which may hold a password.
    """
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise SettingsError("base_url is not a URL: give one like https://host/v1") from None
    # httpx percent-encodes characters that a host cannot have, and would resolve the result.
    if url.scheme not in ("http", "https") or not url.host or b"%" in url.raw_host:
        raise SettingsError("base_url has to begin with https:// or http:// and a host")
    if url.userinfo:
        raise SettingsError("base_url holds a user or password: give api_key or headers instead")
    if url.query or url.fragment:
        raise SettingsError(
            "base_url holds a query or fragment: give api_version or params instead"
        )
    return url.copy_with(path=url.path.rstrip("/"))


def path_below(base: httpx.URL, url: Any) -> str | None:
    """Returns the path of `url` below the address of an API, None if it is not below it.

    `url` may be of httpx, or of a library with the same interface.
    """
    if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
        return None
    path = url.raw_path.partition(b"?")[0]
    root = base.raw_path.rstrip(b"/")
    return path[len(root) :].decode("ascii") if path.startswith(root + b"/") else None


def is_loopback(url: httpx.URL) -> bool:
    """True if a service runs on this machine, so that no proxy leads to it."""
    if url.host == "localhost":
        return True
    try:
        return ip_address(url.host).is_loopback
    except ValueError:
        return False


def path_of(*segments: str) -> str:
    """Returns the path of these segments, quoted. Raises SettingsError for an unusable id."""
    for segment in segments:
        if not segment or segment in (".", "..") or len(segment) > LONGEST_ID:
            raise SettingsError(f"{segment[:80]!r} cannot be an id: give that of a thread or run")
        if not segment.isprintable():
            raise SettingsError("an id holds unprintable characters: give that of a thread or run")
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Returns the caller's headers. Raises SettingsError naming an invalid one, not its value."""
    checked: dict[str, str] = {}
    for name, value in (headers or {}).items():
        if not (name and name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise SettingsError(f"{name!r} cannot be the name of a header")
        if not (value.isascii() and value.isprintable()):
            raise SettingsError(f"the header {name} holds characters that no header can carry")
        checked[name.lower()] = value.strip()
    return checked
