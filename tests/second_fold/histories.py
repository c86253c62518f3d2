"""Histories of a few runs, made at random: looks at lives, and events as no look gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, NamedTuple

from tracker.core import events as e
from tracker.core.other_decisions import decide_disappearance, decide_steps, decide_submission
from tracker.core.snapshot import Configuration, RunError, RunSnapshot, StepSnapshot, ToolCall
from tracker.core.usage import Usage
from tracker.event_store import Append
from tracker.recording.observation import Observation

ZONES = (
    "UTC",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
)
# Midnights of these zones, and moments at which clocks are changed in them.
ANCHORS = (
    datetime(2025, 3, 9, 7, tzinfo=UTC),
    datetime(2025, 11, 2, 6, tzinfo=UTC),
    datetime(2025, 11, 2, 4, tzinfo=UTC),
    datetime(2025, 3, 9, 5, 30, tzinfo=UTC),
    datetime(2025, 11, 2, 2, 30, tzinfo=UTC),
    datetime(2025, 4, 5, 15, tzinfo=UTC),
    datetime(2025, 10, 4, 15, 30, tzinfo=UTC),
    datetime(2025, 10, 4, 13, 30, tzinfo=UTC),
    datetime(2025, 6, 14, 18, 30, tzinfo=UTC),
    datetime(2025, 6, 14, 18, 15, tzinfo=UTC),
    datetime(2024, 12, 31, 23, 59, 30, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
)
# Of a second: halves of milliseconds are where a database may round.
FRACTIONS = (0, 0, 0, 1, 250_000, 499_999, 500_000, 999_499, 999_500, 999_999)
SOURCES = ("assistants", "backup", "Zweit\u00fcr")
MODELS = ("small", "small", "large", "m\u00f6del", "ears", "asks", "unlisted", "", None)
ASSISTANTS = ("asst_1", "asst_2", "asst\x002", "", None)
THREADS = ("thread_1", "thread_2", "th'read", "", None)
TIERS = (None, None, None, "default", "auto", "flex", " Flex", "priority", "scale\x00", "")
METADATA_KEYS = ("team", "a.b", 'quo"te', "back\\slash", "\u043a\u043b\u044e\u0447", "it's", "$[0]")
METADATA_KEYS += ("50%", ":x", " ", "0", "?", "nul\x00")
METADATA_VALUES: tuple[Any, ...] = (
    "",
    "red",
    "blue",
    "null",
    "1",
    1,
    1.0,
    1.5,
    True,
    None,
    1e16,
    1e-7,
)
METADATA_VALUES += ([1, 2.0, None], {"b": 1.0, "a": "\u00e9"}, {}, "x\x00y", -0.0, 2**62)
TOOLS = ("price", "weather")
FUNCTIONS = Configuration(tools=({"type": "function", "function": {"name": "price"}},))
SERVED = Configuration(instructions="Hi", tools=({"type": "file_search"},))


class Move(NamedTuple):
    """A thing that happens to a database: looks, events as they are, or runs to forget."""

    looks: Sequence[Observation] = ()
    appends: Sequence[Append] = ()
    forgets: Sequence[str] = ()


class Histories:
    """Makes the moves of one database; equal seeds make equal moves."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._anchors = self._random.sample(ANCHORS, self._random.choice((1, 1, 2, 3)))

    def make_moves(self) -> list[Move]:
        """Returns the moves, in order."""
        random = self._random
        looks: list[tuple[datetime, int, Observation]] = []
        keys = [
            (source, f"run_{number}")
            for source in random.sample(SOURCES, random.choice((1, 2, 3)))
            for number in range(random.randint(1, 4))
        ]
        for source, run_id in keys:
            for at, look in _Life(self, source, run_id).make_looks():
                looks.append((at, len(looks), look))
        looks.sort(key=lambda it: it[:2])
        moves = []
        while looks:
            size = random.choice((1, 1, 2, 5, 12))
            moves.append(Move(looks=[it[2] for it in looks[:size]]))
            looks = looks[size:]
        for number in range(random.choice((0, 1, 2, 3))):
            place = 0
            for append in self._make_odd_stream(f"odd_{number}"):
                place = random.randint(place, len(moves))
                moves.insert(place, Move(appends=[append]))
                place += 1
        if random.random() < 0.3:
            gone = [f"{source}:{run_id}" for source, run_id in random.sample(keys, 1)]
            moves.insert(random.randint(0, len(moves)), Move(forgets=gone))
        return moves

    def flip(self, chance: float = 0.5) -> bool:
        """Returns True as often as `chance` says."""
        return self._random.random() < chance

    def pick(self, values: Sequence[Any]) -> Any:
        """Returns one of the values."""
        return self._random.choice(values)

    def make_moment(self) -> datetime:
        """Returns a moment near one of the anchors."""
        random = self._random
        seconds = random.choice((0, -1, 1, 899, 900, random.randint(-100_000, 100_000)))
        seconds = random.choice((seconds, random.randint(-7200, 7200)))
        return random.choice(self._anchors) + timedelta(
            seconds=seconds, microseconds=random.choice(FRACTIONS)
        )

    def make_delay(self) -> timedelta:
        """Returns a length from nothing to minutes."""
        random = self._random
        seconds = random.choice((0, 0, 1, 2, random.randint(1, 60), random.randint(1, 2000)))
        return timedelta(seconds=seconds, microseconds=random.choice(FRACTIONS))

    def make_usage(self) -> Usage | None:
        """Returns token counts, with any of them missing."""
        random = self._random
        if self.flip(0.2):
            return None

        if self.flip(0.4):
            return self._make_plausible_usage()

        def count(*values: int | None) -> int | None:
            return random.choice((None, 0, random.randint(1, 900), *values))

        return Usage(
            prompt_tokens=count(1000, 500, 501, 10**12, 10**12 + 1, 2**63 - 1),
            completion_tokens=count(7, 77, 777),
            total_tokens=count(3),
            cached_tokens=count(5, 100),
            reasoning_tokens=count(2, 10**6),
            cache_write_tokens=count(9, 90, 10**12 + 1),
            cache_write_5m_tokens=count(4, 9),
            cache_write_30m_tokens=count(1),
            cache_write_1h_tokens=count(5, 9),
            cache_write_12h_tokens=count(1),
            service_tier=self.pick(TIERS),
        )

    def _make_plausible_usage(self) -> Usage:
        """Returns counts of which each part fits into what it is a part of."""
        prompt, completion = self.pick((100, 500, 501, 2000)), self.pick((0, 77))
        cached = self._random.randint(0, prompt)
        written = self._random.randint(0, prompt - cached)
        brief = self._random.randint(0, written)
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            cached_tokens=cached,
            cache_write_tokens=written,
            cache_write_5m_tokens=brief,
            cache_write_1h_tokens=self.pick((None, written - brief, written - brief + 1)),
            service_tier=self.pick(TIERS),
        )

    def make_metadata(self) -> dict[str, Any]:
        """Returns metadata with a few odd keys."""
        keys = self._random.sample(METADATA_KEYS, self._random.choice((0, 1, 2, 4)))
        return {key: self.pick(METADATA_VALUES) for key in keys}

    def make_identity(self) -> dict[str, Any]:
        """Returns thread, assistant, model and the tier that was asked for."""
        return {
            "thread_id": self.pick(THREADS),
            "assistant_id": self.pick(ASSISTANTS),
            "model": self.pick(MODELS),
            "service_tier": self.pick(TIERS),
            "parent_run_id": self.pick((None, None, "run_0")),
            "subagent_id": self.pick((None, None, "sub_1", "sub_2")),
        }

    def make_calls(self) -> tuple[ToolCall, ...]:
        """Returns the calls of a pause."""
        ids = self._random.sample(("call_1", "call_2", "call_3", "ca\x00ll"), 2)
        return tuple(
            ToolCall(
                id=it,
                type=self.pick(("function", "mcp")),
                name=self.pick((*TOOLS, None)),
                arguments=self.pick(("{}", None, '{"a": "\x00"}')),
            )
            for it in ids[: self._random.choice((1, 1, 2))]
        )

    def make_step(
        self, step_id: str, begin: datetime, end: datetime, calls: Sequence[ToolCall] = ()
    ) -> StepSnapshot:
        """Returns a step of a run, perhaps the one that made some calls."""
        kinds = ("message_creation", "tool_calls:code_interpreter", "tool_calls:file_search")
        kind, _, tool = self.pick((*kinds, *(f"tool_calls:{TOOLS[0]}",) * 3)).partition(":")
        return StepSnapshot(
            step_id=step_id,
            type=kind,
            status=self.pick(("completed", "completed", "failed", "in_progress")),
            tools=(tool,) if tool else (),
            tool_call_ids=tuple(it.id for it in calls) if tool and self.flip(0.6) else (),
            created_at=self.pick((begin, begin, None)),
            ended_at=self.pick((end, end, None)),
            usage=self.make_usage(),
        )

    def _make_odd_stream(self, run_id: str) -> list[Append]:
        """Returns a history of events as no look gives them, one by one."""
        random = self._random
        now, status = self.make_moment(), "queued"
        source = self.pick(SOURCES)
        history: list[e.Event] = [
            e.RunCreated(
                observed_at=now,
                occurred_at=self.pick((None, now - self.make_delay())),
                source=source,
                run_id=run_id,
                status=status,
                expires_at=self.pick((None, now + self.make_delay())),
                metadata=self.make_metadata(),
                **self.make_identity(),
            )
        ]

        def stamps() -> dict[str, Any]:
            moments = (None, None, now, now - self.make_delay(), now.replace(microsecond=0))
            return {
                "observed_at": now,
                "occurred_at": self.pick(moments),
                "not_before": self.pick((None, now - self.make_delay())),
                "not_after": self.pick((None, None, now - self.make_delay())),
                "inferred": self.flip(0.2),
            }

        for _ in range(random.randint(0, 9)):
            now += self.make_delay()
            aside = self._make_aside(now)
            if status in e.RUN_ENDS or self.flip(0.4):
                history.append(aside)
                continue
            before = status
            status = self.pick(("in_progress", "requires_action", "queued", "paused", "cancelling"))
            if self.flip(0.3):
                status = self.pick([*e.RUN_ENDS])
                end = e.RUN_ENDS[status]
                history.append(end(previous=before, usage=self.make_usage(), **stamps()))
            elif status == "requires_action":
                calls = self.pick(((), self.make_calls()))
                history.append(e.RunActionRequired(previous=before, tool_calls=calls, **stamps()))
            elif status != before:
                history.append(e.RunStatusChanged(previous=before, status=status, **stamps()))
        key = f"{source}:{run_id}"
        return [Append(key, version, [event]) for version, event in enumerate(history)]

    def _make_aside(self, now: datetime) -> e.Event:
        """Returns an event that changes no status."""
        seen = {"observed_at": now}
        step = self.make_step(
            self.pick(("step_1", "step_2")),
            now - self.make_delay(),
            now + self.make_delay(),
            self.make_calls(),
        ).model_dump(exclude={"peculiarities"})
        asides: list[e.Event] = [
            e.ToolOutputsSubmitted(tool_call_ids=("call_1", "call_9"), **seen),
            e.RunStepRecorded(**{**step, "status": "completed"}, **seen),
            e.RunMetadataChanged(previous={}, metadata=self.make_metadata(), **seen),
            e.RunTimesChanged(
                started_at=self.pick((None, now - self.make_delay())),
                expires_at=self.pick((None, now + self.make_delay())),
                **seen,
            ),
            e.RunVanished(**seen),
            e.RunReappeared(**seen),
            e.RunAnomalyObserved(kind="end_changed", status="x", known_status="y", **seen),
        ]
        asides += [
            e.ThreadUsageReported(usage=self.make_usage() or Usage(), **seen),
            e.EnvironmentReported(
                environment_id="env_1", status=self.pick(("failed", "ready", "\x00")), **seen
            ),
        ]
        asides += [e.RunUsageReported(usage=self.make_usage() or Usage(), **seen)] * 3
        return self.pick(asides)


class _Life:
    """The life of one run by the service's clock, and the looks at it by ours."""

    def __init__(self, histories: Histories, source: str, run_id: str) -> None:
        self._histories, self._source, self._run_id = histories, source, run_id
        self._key = f"{source}:{run_id}"
        self._ahead = timedelta(seconds=histories.pick((0, 0, 0.4, 1.5, -1.5, 37, -3600)))
        self._now = histories.make_moment()
        # Stamps in whole seconds, exact ones, or none.
        rounding: Sequence[Callable[[datetime], datetime | None]] = (
            lambda it: it.replace(microsecond=0),
            lambda it: it.replace(microsecond=0),
            lambda it: it,
            lambda it: None,
        )
        self._stamps = {
            name: histories.pick(rounding) for name in ("created", "started", "ended", "stopped")
        }
        stamp = self._stamps["created"](self._now)
        self._fields: dict[str, Any] = {
            "source": source,
            "run_id": run_id,
            "created_at": stamp,
            "expires_at": histories.pick((None, self._now + timedelta(minutes=10))),
            "metadata": histories.pick((None, histories.make_metadata())),
            "configuration": histories.pick((None, FUNCTIONS, SERVED)),
            **histories.make_identity(),
        }
        self._looked: datetime | None = None
        self._looks: list[tuple[datetime, Observation]] = []

    def make_looks(self) -> list[tuple[datetime, Observation]]:
        """Returns the looks with the times at which they come in."""
        h = self._histories
        if h.flip(0.1):
            self._add_continuation()
            return self._looks
        self._stay("queued")
        if h.flip(0.85):
            self._start()
            for _ in range(h.pick((0, 0, 0, 1, 1, 2, 3))):
                self._pause()
        if h.flip(0.1):
            self._stay("cancelling")
        if h.flip(0.1):
            at = self._seen(self._now)
            self._add(at, lambda state: decide_disappearance(state, at))
        if h.flip(0.8):
            self._end()
        return self._looks

    def _start(self) -> None:
        started = self._stamps["started"](self._now)
        if started is not None:
            self._fields["started_at"] = started
        self._stay("in_progress")
        if self._histories.flip(0.1):
            self._stay("paused_by_operator")
            self._stay("in_progress")

    def _pause(self) -> None:
        h, began = self._histories, self._now
        calls = h.make_calls()
        more: dict[str, Any] = {"tool_calls": calls, "ended_at": self._stamps["stopped"](began)}
        if h.flip(0.3):
            more["usage"] = h.make_usage()
        self._stay("requires_action", **more)
        if h.flip(0.2):
            self._stay("requires_action", **{**more, "tool_calls": h.make_calls()})
        if h.flip(0.4):
            at = self._seen(self._now)
            ids = [it.id for it in calls]
            self._add(at, partial(decide_submission, tool_call_ids=ids, observed_at=at))
        if h.flip(0.6):
            self._stay("queued")
        self._add_step(f"step_{began.minute}_{began.second}", began, self._now, calls)
        self._start()

    def _end(self) -> None:
        h = self._histories
        begin = self._now
        self._now += h.make_delay()
        status = h.pick(("completed", "completed", "failed", "cancelled", "expired", "incomplete"))
        end: dict[str, Any] = {
            "ended_at": self._stamps["ended"](self._now),
            "expires_at": None,
            "usage": h.make_usage(),
            "error": RunError(code="rate\x00", message="no") if status == "failed" else None,
            "incomplete_reason": "max_tokens" if status == "incomplete" else None,
        }
        self._add_step("step_last", begin, self._now)
        self._stay(status, **end)
        for _ in range(h.pick((0, 0, 1, 2))):
            # Late usage, corrections and changes of metadata.
            changed = h.pick(("usage", "metadata", "both"))
            if changed != "metadata":
                end["usage"] = h.make_usage()
            if changed != "usage":
                self._fields["metadata"] = h.make_metadata()
            self._stay(status, **end)

    def _stay(self, status: str, **more: Any) -> None:
        """Enters a status, and looks at it a few times before it is left."""
        h = self._histories
        length = h.make_delay()
        fields = {**self._fields, "status": status, **more}
        if h.flip(0.3):
            fields |= h.make_identity()
        for _ in range(h.pick((0, 1, 1, 2))):
            asked = self._seen(self._now + length * h.pick((0, 0.3, 0.5, 0.99)))
            if self._looked is not None and asked <= self._looked:
                continue
            came = asked + timedelta(milliseconds=h.pick((1, 40, 900)))
            self._looked = came
            self._look(came, {**fields, "asked_at": asked, "observed_at": came})
        if h.flip(0.2):
            # A webhook or a file, which may come late.
            came = self._seen(self._now + length + h.pick((timedelta(0), h.make_delay())))
            told = h.pick((came, came, self._seen(self._now)))
            self._look(came, {**fields, "observed_at": told})
        self._now += length

    def _look(self, came: datetime, fields: dict[str, Any]) -> None:
        self._looks.append((came, Observation.of(RunSnapshot.model_validate(fields))))

    def _add(self, at: datetime, decide: Callable[..., list[e.Event]]) -> None:
        self._looks.append((at, Observation(self._key, decide)))

    def _add_step(
        self, step_id: str, begin: datetime, end: datetime, calls: Sequence[ToolCall] = ()
    ) -> None:
        h = self._histories
        if h.flip(0.5):
            at = self._seen(end + h.make_delay())
            step = h.make_step(step_id, begin, end, calls)
            self._add(at, partial(decide_steps, steps=[step], observed_at=at))

    def _add_continuation(self) -> None:
        """Adds a session: a run that waits, and another run that goes on from it."""
        h = self._histories
        self._stay("requires_action", tool_calls=h.make_calls())
        following = {
            **self._fields,
            "run_id": f"{self._run_id}_next",
            "continues": self._run_id,
            "created_at": self._stamps["created"](self._now),
            "observed_at": self._seen(self._now),
            "status": "completed",
            "ended_at": self._stamps["ended"](self._now + h.make_delay()),
            "usage": h.make_usage(),
        }
        snapshot = RunSnapshot.model_validate(following)
        before = Observation.of_predecessor(snapshot)
        assert before is not None
        self._looks += [
            (snapshot.observed_at, before),
            (snapshot.observed_at, Observation.of(snapshot)),
        ]

    def _seen(self, moment: datetime) -> datetime:
        """Returns a moment of the service's clock by ours."""
        return moment - self._ahead
