"""API keys: asked for at each request, sent, and kept out of everything that is shown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import quote, quote_plus

from tracker.errors import KeyRefused

ApiKey = str | Callable[[], str] | Callable[[], Awaitable[str]] | None

_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
# What is shorter protects nothing, and its letters stand in every other word.
_SHORTEST_SECRET = 4


class Secrets:
    """What one request carries that nobody else may read: its key, and headers of its sender.

    `more` are texts that its sender put in elsewhere.

    Neither `repr` nor `str` shows any of it.
    """

    __slots__ = ("_hidden", "key")

    def __init__(
        self,
        key: str | None,
        headers: Mapping[str, str] | None = None,
        more: Iterable[str] = (),
    ) -> None:
        self.key = key
        texts = [value for name, value in (headers or {}).items() if _SECRET_HEADER.search(name)]
        # "Bearer abc" is a header, "abc" the secret.
        texts += [text.rsplit(" ", 1)[-1] for text in texts]
        texts += [*([key] if key else []), *more]
        forms = {form for text in texts for form in (text, quote(text, safe=""), quote_plus(text))}
        long = [form for form in forms if len(form) >= _SHORTEST_SECRET]
        self._hidden = sorted(long, key=len, reverse=True)

    def __repr__(self) -> str:
        return "Secrets(…)"

    def scrub(self, text: str) -> str:
        """`text` with three stars in place of each secret."""
        for hidden in self._hidden:
            text = text.replace(hidden, "***")
        return text


async def current_key(given: ApiKey) -> str | None:
    """The key to use now; None where there is none.

    Calls `given` where it can be called, each time, so that a rotated key is used at once. Raises
    KeyRefused where it fails or gives what cannot be sent; its own error, which may hold the key,
    is named by its type only.
    """
    if given is None:
        return None
    key, failure = await _ask(given)
    if failure is not None:
        raise KeyRefused(f"the function given as api_key failed with {failure}: let it give a key")
    if not isinstance(key, str):
        raise KeyRefused(f"api_key gave {type(key).__name__}: let it give the key as text")
    key = key.strip()
    if not key:
        raise KeyRefused("the key is empty: give one, or None for a service that takes none")
    if not (key.isascii() and key.isprintable()):
        raise KeyRefused("the key holds characters that no header can carry: check how it is read")
    return key


async def _ask(given: object) -> tuple[object, str | None]:
    if not callable(given):
        return given, None
    try:
        key = given()
        return (await key if inspect.isawaitable(key) else key), None
    except Exception as error:
        # Raised from here, it would drag the other along as its context.
        return None, type(error).__name__
