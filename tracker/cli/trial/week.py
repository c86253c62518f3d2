"""A generated week of runs: several assistants, a bad hour, some that wait or are stuck."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tracker.core import events as e
from tracker.core.snapshot import RunError, ToolCall
from tracker.core.usage import Usage
from tracker.event_store import Append

# Name, model, share of the runs, tokens, seconds of work, pauses at most, seconds of a pause.
_KINDS = (
    ("asst_triage", "gpt-4o-mini", 45, 1_600, 4, 1, 6),
    ("asst_refunds", "gpt-4o", 23, 3_400, 8, 2, 7),
    ("asst_digest", "gpt-4o-mini", 16, 1_600, 34, 0, 0),
    ("asst_research", "gpt-5", 9, 50_000, 170, 12, 300),
    ("asst_contracts", "gpt-4o", 7, 3_700, 90, 1, 7_000),
)
_CALLS = (
    ("issue_refund", '{"order": "A-62657", "amount": 161.08, "currency": "EUR"}'),
    ("send_mail", '{"to": "customer", "template": "refund_done"}'),
    ("ask_human", '{"question": "Is the 2024 filing in scope, or only what came after?"}'),
)
_ERRORS = (
    ("server_error", "Sorry, something went wrong."),
    ("rate_limit_exceeded", "Rate limit reached for gpt-4o-mini on tokens per min: Limit 30000."),
    ("invalid_prompt", "Unsupported content: <img src=x>"),
)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"


class Week:
    """Runs of the week that ends at `now`, some of them still open. Equal generators, equal runs.

    Two days before the end, runs failed from 13 to 15 h UTC.
    """

    def __init__(self, now: datetime, rng: Random, *, source: str) -> None:
        self.now = now
        self.source = source
        self._rng = rng
        day = now - timedelta(days=2)
        self._bad_hour = day.replace(hour=13, minute=0, second=0, microsecond=0)

    def make_runs(self, count: int) -> list[RunLife]:
        """Returns the lives of at most `count` runs, and of those that are open at the end."""
        lives = [RunLife(self, self._rng, self._choose_birth()) for _ in range(count)]
        for life in lives:
            life.live()
        # Those that are open are chosen.
        lives = [life for life in lives if life.events[-1].observed_at <= self.now]
        return lives + self._make_open_runs()

    def make_appends(self, lives: Iterable[RunLife]) -> list[Append]:
        """Returns what was seen of lives until the end of the week, to append to a store."""
        seen = sorted(lives, key=lambda it: it.last_seen_at)
        return [
            Append(
                f"{self.source}:{life.run_id}",
                0,
                [it for it in life.events if it.observed_at <= self.now],
            )
            for life in seen
        ]

    def is_bad(self, birth: datetime) -> bool:
        """True if runs that began then are likely to fail."""
        return self._bad_hour <= birth < self._bad_hour + timedelta(hours=2)

    def _choose_birth(self) -> datetime:
        while True:
            birth = self.now - timedelta(seconds=self._rng.randrange(60, 6 * 86_400 + 56_000))
            busy = (1.0 if 7 <= birth.hour <= 17 else 0.35) * (0.4 if birth.weekday() > 4 else 1.0)
            if self.is_bad(birth):
                busy = 1.0
            if self._rng.random() < busy:
                return birth.replace(microsecond=0)

    def _make_open_runs(self) -> list[RunLife]:
        def begin(kind: int, age: float, expires: float) -> RunLife:
            birth = (self.now - timedelta(seconds=age)).replace(microsecond=0)
            life = RunLife(self, self._rng, birth, kind=kind)
            life.begin(expires=expires)
            return life

        lives = []
        for kind, age, until_asked, call, left in (
            (4, 2_700, 300, 2, 4_500),
            (3, 2_280, 1_620, 2, 19_300),
            (1, 83, 19, 0, 517),
        ):
            life = begin(kind, age, age + left)
            life.work(2)
            life.spend(until_asked)
            life.ask(None, call)
            lives.append(life)
        for kind, age, expires in (
            (1, 4_920, 600),
            (3, 1_260, 86_400),
            (0, 410, 3_600),
            (2, 19, 900),
        ):
            life = begin(kind, age, expires)
            life.work(3)
            lives.append(life)
        lives.append(begin(2, 3, 900))
        return lives


class RunLife:
    """The events of one run."""

    def __init__(
        self, week: Week, rng: Random, birth: datetime, *, kind: int | None = None
    ) -> None:
        self._week = week
        self._rng = rng
        choice = rng.choices(range(5), [it[2] for it in _KINDS])[0] if kind is None else kind
        self._kind = _KINDS[choice]
        self.run_id = "run_" + "".join(rng.choices(_LETTERS, k=20))
        self.thread_id = "thread_" + "".join(rng.choices(_LETTERS, k=18))
        self.birth = self.now = birth
        self.status = "queued"
        self.events: list[e.Event] = []
        # The names, beginnings and ends of the steps that used a tool.
        self._tools: list[tuple[str, datetime, datetime]] = []

    @property
    def last_seen_at(self) -> datetime:
        """Returns when its last event was seen."""
        return max(it.observed_at for it in self.events if it.observed_at <= self._week.now)

    @property
    def has_failed(self) -> bool:
        """True if it ended as failed."""
        return any(isinstance(it, e.RunFailed) for it in self.events)

    def begin(self, *, expires: float = 3_600, **more: Any) -> None:
        """Records the creation."""
        self.events.append(
            e.RunCreated(
                observed_at=self.birth + timedelta(seconds=0.4 + self._rng.random()),
                occurred_at=self.birth,
                source=self._week.source,
                run_id=self.run_id,
                status="queued",
                thread_id=self.thread_id,
                assistant_id=self._kind[0],
                model=self._kind[1],
                expires_at=self.birth + timedelta(seconds=expires),
                metadata={
                    "team": self._rng.choice(["support", "finance", "legal"]),
                    "tenant": f"t{self._rng.randrange(40):03}",
                },
                **more,
            )
        )

    def live(self) -> None:
        """Records the whole life."""
        rng = self._rng
        self.begin(expires=86_400 if self._kind[0] == "asst_research" else 14_400)
        is_bad = self._week.is_bad(self.birth)
        self.work(rng.lognormvariate(0.3, 1.0))
        for _ in range(rng.randrange(self._kind[5] + 1)):
            begun = self.now
            self.spend(rng.lognormvariate(0, 0.5) * self._kind[4] / 2)
            if self._kind[0] == "asst_research":
                name = rng.choice(["file_search", "code_interpreter"])
                self._tools.append((name, begun, self.now))
            self.ask(rng.lognormvariate(0, 0.9) * self._kind[6])
        kind = rng.choices(
            [e.RunCompleted, e.RunFailed, e.RunCancelled, e.RunExpired, e.RunIncomplete],
            [40, 55, 2, 2, 1] if is_bad else [93, 4, 1.6, 0.4, 0.9],
        )[0]
        self.end(kind, rng.lognormvariate(0, 0.5) * self._kind[4], is_bad=is_bad)

    def work(self, after: float) -> None:
        """Records the beginning of work."""
        times = self.spend(after)
        self.events.append(
            e.RunStatusChanged(
                **times, occurred_at=self.now, previous=self.status, status="in_progress"
            )
        )
        self.status = "in_progress"

    def ask(self, answered_after: float | None, call: int | None = None) -> None:
        """Records a call, and its answer after so many seconds."""
        rng = self._rng
        name, arguments = _CALLS[rng.randrange(3) if call is None else call]
        asked_at = self.now
        call_id = "call_" + "".join(rng.choices(_LETTERS, k=16))
        self.events.append(
            e.RunActionRequired(
                **self.spend(1),
                previous=self.status,
                tool_calls=(ToolCall(id=call_id, name=name, arguments=arguments, type="function"),),
            )
        )
        self.status = "requires_action"
        if answered_after is None:
            return
        at = self.spend(answered_after)["observed_at"]
        self.events += [
            e.ToolOutputsSubmitted(observed_at=at, tool_call_ids=(call_id,)),
            # The answer to our own call shows it.
            e.RunStatusChanged(
                observed_at=at,
                not_before=at - timedelta(seconds=0.1),
                previous=self.status,
                status="queued",
            ),
        ]
        self.status = "queued"
        self._tools.append((name, asked_at, self.now))
        self.work(1)

    def end(self, kind: type[e.RunEnded], after: float, *, is_bad: bool = False) -> None:
        """Records the end."""
        rng, times = self._rng, self.spend(after)
        tokens = max(40, round(rng.lognormvariate(0, 0.5) * self._kind[3]))
        output = tokens // 9
        usage = Usage(prompt_tokens=tokens - output, completion_tokens=output, total_tokens=tokens)
        code, message = _ERRORS[1 if is_bad else rng.choice([0, 0, 2])]
        error = RunError(code=code, message=message) if kind is e.RunFailed else None
        self.events.append(
            kind(
                **times,
                occurred_at=self.now,
                previous=self.status,
                usage=None if kind is e.RunExpired else usage,
                error=error,
            )
        )
        steps = [*self._tools, ("", self.now - timedelta(seconds=min(3, after)), self.now)]
        for number, (tool, begun, ended) in enumerate(steps):
            self.events.append(
                e.RunStepRecorded(
                    observed_at=times["observed_at"] + timedelta(seconds=1.5),
                    step_id=f"step_{self.run_id[4:12]}{number}",
                    type="tool_calls" if tool else "message_creation",
                    status="completed",
                    tools=(tool,) if tool else (),
                    created_at=begun.replace(microsecond=0),
                    ended_at=ended.replace(microsecond=0),
                    usage=Usage(prompt_tokens=900, completion_tokens=126, total_tokens=1_026),
                )
            )

    def spend(self, seconds: float) -> dict[str, Any]:
        """Moves on, and returns the times of what is seen then."""
        before = self.events[-1].observed_at
        self.now += timedelta(seconds=max(1, round(seconds)))
        seen = self.now + timedelta(seconds=0.2 + 2 * self._rng.random())
        looked = max(before, seen - timedelta(seconds=self._rng.choice([1.4, 2.2, 3.1])))
        return {"observed_at": max(seen, before), "not_before": looked}
