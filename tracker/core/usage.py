"""Token counts of a run or a step."""

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
    # Part of `prompt_tokens`.
    cached_tokens: Tokens | None = None
    # Part of `completion_tokens`.
    reasoning_tokens: Tokens | None = None
