"""API keys: read before each request, and removed from all texts that are shown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import quote, quote_plus

from tracker.errors import KeyRefused

ApiKey = str | Callable[[], str] | Callable[[], Awaitable[str]] | None

_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
# Shorter values protect nothing, and would be replaced inside ordinary words.
_SHORTEST_SECRET = 4


class Secrets:
    """The secrets of one request: its key, secret headers of its sender, and `more` texts.

    Neither `repr` nor `str` shows them.
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
        """Returns `text` with three stars in place of each secret."""
        for hidden in self._hidden:
            text = text.replace(hidden, "***")
        return text


async def current_key(given: ApiKey) -> str | None:
    """Returns the key to use now, None if there is none.

    Calls `given` each time if it is a function, so that a rotated key is used at once. Raises
    KeyRefused if the function fails or the key cannot be sent; of the function's own error, which
    may hold the key, the message has the type only.
    """
    if given is None:
        return None
    key, error = await _ask(given)
    if error is not None:
        raise KeyRefused(f"the function given as api_key failed with {error}: let it return a key")
    if not isinstance(key, str):
        raise KeyRefused(f"api_key returned {type(key).__name__}: let it return the key as text")
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
        # Not raised here: this error would be its context.
        return None, type(error).__name__
