"""Token counts of a run or a step, and the tier that served it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# The range of a database's 64-bit column.
Tokens = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Usage(BaseModel):
    """Tokens as the service counts them. None: the service did not report it; it is not zero."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    total_tokens: Tokens | None = None
    # Part of `prompt_tokens`: read from a cache.
    cached_tokens: Tokens | None = None
    # Part of `completion_tokens`.
    reasoning_tokens: Tokens | None = None
    # Another part of `prompt_tokens`: written to a cache.
    cache_write_tokens: Tokens | None = None
    # Parts of `cache_write_tokens`, by how long the cache keeps them.
    cache_write_5m_tokens: Tokens | None = None
    cache_write_30m_tokens: Tokens | None = None
    cache_write_1h_tokens: Tokens | None = None
    cache_write_12h_tokens: Tokens | None = None
    # The tier that served the run, such as `flex`; it may differ from the one asked for.
    service_tier: str | None = None


# The names of the counts, in their order.
TOKEN_COUNTS = tuple(name for name in Usage.model_fields if name.endswith("_tokens"))
