"""Token counts of simulated steps, and their JSON objects."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tracker.core.usage import Usage


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts; `prompt` includes `cached` and `written`, `completion` includes `reasoning`."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    written: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
            self.written + other.written,
        )

    def to_run_usage(self) -> dict[str, object]:
        """Returns the usage object of a run or a step."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.total,
            "prompt_token_details": self._to_prompt_details(),
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }

    def to_response_usage(self) -> dict[str, object]:
        """Returns the usage object of a response."""
        return {
            "input_tokens": self.prompt,
            "input_tokens_details": self._to_prompt_details(),
            "output_tokens": self.completion,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.total,
        }

    def to_usage(self) -> Usage:
        """Returns the counts as the tracker's Usage."""
        return Usage(
            prompt_tokens=self.prompt,
            completion_tokens=self.completion,
            total_tokens=self.total,
            cached_tokens=self.cached,
            reasoning_tokens=self.reasoning,
            cache_write_tokens=self.written,
        )

    def _to_prompt_details(self) -> dict[str, object]:
        return {"cached_tokens": self.cached, "cache_write_tokens": self.written}


@dataclass(slots=True)
class Context:
    """The context window of a run: each step reads all of it and adds to it."""

    size: int
    reasons: bool
    cached: int = 0

    def spend(self, rng: Random, typical: int) -> Tokens:
        """Draws the tokens of the next step, which writes about `typical` tokens."""
        written = max(1, round(typical * rng.lognormvariate(0.0, 0.5)))
        thought = 64 * rng.randrange(0, 12) if self.reasons else 0
        # A prompt is cached in blocks of 128 tokens once it has 1024.
        cached = self.size // 128 * 128 if self.size >= 1024 else 0
        spent = Tokens(self.size, written + thought, self.cached, thought, cached - self.cached)
        self.cached = cached
        self.size += written + rng.randrange(20, 300)
        return spent
