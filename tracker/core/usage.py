"""Token counts of a run or a step. `None` means that the service did not say; it is not zero."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# What a database's 64-bit column holds.
Tokens = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Usage(BaseModel):
    """Tokens as the service counts them.

    `prompt_tokens` include `cached_tokens`, `completion_tokens` include `reasoning_tokens`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    total_tokens: Tokens | None = None
    cached_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
