"""Reading of the usage of a run or a step, under the names that any API has for its counts."""

from __future__ import annotations

from collections.abc import Iterable

from tracker.core.usage import Usage
from tracker.sources.counts import counted, spell
from tracker.sources.fields import Fields

_PROMPT = spell("prompt_tokens")
_IN, _OUT = (*_PROMPT, *spell("input_tokens")), spell("completion_tokens", "output_tokens")
_TOTAL = spell("total_tokens")
# OpenAI sends `prompt_token_details`, look-alikes with an s.
_DETAILS_IN = spell("prompt_tokens_details", "prompt_token_details", "input_tokens_details")
_DETAILS_OUT = spell("completion_tokens_details", "output_tokens_details")
_REASONING = spell("reasoning_tokens", "thinking_tokens")
_CACHED, _WRITTEN = spell("cached_tokens"), spell("cache_write_tokens", "cache_creation_tokens")
# Beside the other counts, where Anthropic and Bedrock have them.
_CACHE_READ = (*spell("cache_read_input_tokens"), *_CACHED)
_CACHE_WRITE = (*spell("cache_creation_input_tokens", "cache_write_input_tokens"), *_WRITTEN)
_BY_LIFETIME = spell(
    "cache_write_tokens_details",
    "cache_creation",
    "cache_creation_token_details",
    "cache_creation_tokens_details",
)
_LIFETIMES = {
    f"cache_write_{it}_tokens": spell(
        f"ttl_{it}_tokens", f"ephemeral_{it}_input_tokens", f"cache_write_{it}_tokens"
    )
    for it in ("5m", "30m", "1h", "12h")
}
_APART = frozenset(
    spell("cache_read_input_tokens", "cache_creation_input_tokens", "cache_write_input_tokens")
)


def read_usage(fields: Fields) -> Usage | None:
    """Returns the `usage` of a document with the tier that it names; None if it has no count.

    Tokens of a cache that the service counts beside the prompt, as Anthropic does, are added to it.
    """
    if fields.document.get("usage") is None:
        return None
    sent = fields.part("usage")
    inside = _parts([sent], _DETAILS_IN)
    cached, written = _first_count(inside, _CACHED), _first_count(inside, _WRITTEN)
    cached = sent.count(*_CACHE_READ) if cached is None else cached
    written = sent.count(*_CACHE_WRITE) if written is None else written
    by_lifetime = _parts([*inside, sent], _BY_LIFETIME)
    lifetimes = {name: _first_count(by_lifetime, names) for name, names in _LIFETIMES.items()}
    known = [count for count in lifetimes.values() if count is not None]
    if written is None and known:
        written = sum(known)
    prompt, completion, total = sent.count(*_IN), sent.count(*_OUT), sent.count(*_TOTAL)
    if prompt is not None and _is_cache_apart(sent, prompt + (completion or 0), total):
        prompt += (cached or 0) + (written or 0)
    return counted(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        cached_tokens=cached,
        reasoning_tokens=_first_count(_parts([sent], _DETAILS_OUT), _REASONING),
        cache_write_tokens=written,
        **lifetimes,
        service_tier=sent.text("service_tier") or fields.text("service_tier"),
    )


def _is_cache_apart(sent: Fields, both_sides: int, total: int | None) -> bool:
    """True if the tokens of a cache are no part of the prompt tokens."""
    names = sent.document.keys()
    if not names & _APART or not names.isdisjoint((*_PROMPT, *_DETAILS_IN)):
        return False
    return total != both_sides


def _parts(holders: Iterable[Fields], names: tuple[str, ...]) -> list[Fields]:
    return [it.part(name) for it in holders for name in names if name in it.document]


def _first_count(parts: Iterable[Fields], names: tuple[str, ...]) -> int | None:
    counts = (part.count(*names) for part in parts)
    return next((count for count in counts if count is not None), None)
