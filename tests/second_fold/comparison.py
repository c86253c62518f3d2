"""One database through both folds: moves, questions in between, and the answers compared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from projections import Views
from projections.answers import Answers
from projections.row_types import field_names
from tests.second_fold.answers import (
    Answer,
    Question,
    Tables,
    count_statuses,
    group_value,
    list_unpriced,
    measure_timing,
    sum_costs,
    sum_usage,
)
from tests.second_fold.histories import METADATA_KEYS, ZONES, Histories
from tests.second_fold.runs import Run, read_runs
from tests.second_fold.timing import clean
from tracker.errors import SettingsError
from tracker.event_store import EventStore, RecordedEvent
from tracker.recording.repository import RunRepository

COLUMNS = ("source", "assistant_id", "model", "outcome", "status", "thread_id", "service_tier")
COLUMNS += ("subagent_id", "day", "hour")
ANSWERS = ("usage", "cost", "status_counts", "timing")
PERCENTILES = (1, 50, 95, 99.9, 100)
ROLLUPS = ("usage", "timing", "costs")
PROJECTIONS = (*ROLLUPS, "runs", "phases", "actions", "steps")
# Filters of `runs`.
FILTERS = {
    "status": ("in_progress", "vanished", "completed"),
    "thread_id": ("thread_1", "th'read"),
    "assistant_id": ("asst\x002",),
}
# Histograms are within 1 per cent.
WITHIN = 0.0101


class Comparison:
    """The two folds of one database, and the differences between their answers."""

    def __init__(
        self,
        seed: int,
        views: Views,
        store: EventStore,
        *,
        questions: int = 12,
    ) -> None:
        self.differences: list[str] = []
        self._random = Random(-seed - 1)
        self._moves = Histories(seed).make_moves()
        self._views, self._store = views, store
        self._number = questions
        self._repository = RunRepository(store)
        self._pruned_before: datetime | None = None
        self._forgotten: dict[str, list[Run]] = {name: [] for name in ROLLUPS}

    def run(self) -> list[str]:
        """Plays the moves and asks in between; returns the differences."""
        random = self._random
        cuts = sorted(random.randint(0, len(self._moves)) for _ in range(2))
        self._play(self._moves[: cuts[0]])
        self.ask("at first")
        self._play(self._moves[cuts[0] : cuts[1]])
        if random.random() < 0.7:
            self._prune()
            self.ask("after a prune")
        self._play(self._moves[cuts[1] :])
        self.ask("at the end")
        self._ask_past()
        self._rebuild()
        self.ask("after a rebuild")
        return self.differences

    def ask(self, when: str) -> None:
        """Asks questions to the tables as they are, and notes the differences."""
        tables = Tables(self._runs(), self._pruned_before, self._forgotten)
        self._compare(when, self._views, tables, self._number)

    def _play(self, moves: Sequence[Any]) -> None:
        for move in moves:
            if move.forgets:
                self._forget(move.forgets)
            if move.appends:
                self._store.append(move.appends)
            for result in self._repository.record(move.looks):
                if isinstance(result, Exception):
                    raise result
            if self._random.random() < 0.3:
                self._views.catch_up()
        self._views.catch_up()

    def _prune(self) -> None:
        ends = [it.row["ended_at"] for it in self._runs().values() if it.is_ended]
        if not ends:
            return
        shift = timedelta(microseconds=self._random.choice((-1, 0, 1)))
        before = max(ends) + shift if self._random.random() < 0.5 else self._random.choice(ends)
        if self._pruned_before is None or before > self._pruned_before:
            self._views.prune(before)
            self._pruned_before = before

    def _forget(self, keys: Sequence[str]) -> None:
        self._views.catch_up()
        gone = [it for key, it in self._runs().items() if key in keys and it.is_ended]
        for name in ROLLUPS:
            self._forgotten[name] += gone
        self._store.forget(keys)
        self._views.remove_runs(keys)

    def _rebuild(self) -> None:
        random = self._random
        names = random.sample(PROJECTIONS, random.randint(1, 3)) if random.random() < 0.5 else []
        self._views.rebuild(*names)
        for name in ROLLUPS:
            if name in names or not names:
                self._forgotten[name] = []

    def _runs(self) -> dict[str, Run]:
        return read_runs(self._store.read_all(0, 100_000))

    def _ask_past(self) -> None:
        """Compares the answers as of a position, or as of a moment."""
        random, recorded = self._random, self._store.read_all(0, 100_000)
        if not recorded:
            return
        place: int | datetime = random.randint(0, recorded[-1].position)
        if random.random() < 0.5:
            place = random.choice(recorded).event.observed_at
            place += timedelta(microseconds=random.choice((-1, 0, 1)))
        cut: set[str] = set()

        def was_known(it: RecordedEvent) -> bool:
            if isinstance(place, int):
                return it.position <= place
            # A history ends before the first event that was observed later.
            if it.event.observed_at > place:
                cut.add(it.stream)
            return it.stream not in cut

        with self._views.as_of(place) as past:
            tables = Tables(read_runs(filter(was_known, recorded)), self._pruned_before)
            self._compare(f"as of {place}", past, tables, self._number)

    def _compare(self, when: str, views: Answers, tables: Tables, number: int) -> None:
        ask = _Ask(self.differences, when, views, tables)
        ask.rows()
        ask.single_runs(self._random)
        ask.answer("unpriced", {}, list_unpriced(tables), ("source", "model", "service_tier"))
        moments = [it.row["created_at"] for it in tables.runs.values()]
        for _ in range(number):
            names = self._random.sample(ANSWERS, 2)
            ask.question(self._make_question(moments), names)

    def _make_question(self, moments: Sequence[datetime]) -> Question:
        random = self._random
        names = [*COLUMNS, f"metadata.{random.choice(METADATA_KEYS)}"]
        by = random.sample(names, random.choice((0, 1, 1, 1, 2, 2, 3)))

        def limit() -> datetime | None:
            if not moments or random.random() < 0.5:
                return None
            moment = random.choice(moments) + timedelta(microseconds=random.choice((-1, 0, 1)))
            if random.random() < 0.5:
                moment -= timedelta(
                    minutes=moment.minute % 15,
                    seconds=moment.second,
                    microseconds=moment.microsecond,
                )
            return moment + timedelta(minutes=random.choice((0, 0, 15, -60)))

        return Question(tuple(by), limit(), limit(), random.choice(ZONES))


class _Ask:
    """Questions to one state of a database."""

    def __init__(self, differences: list[str], when: str, views: Answers, tables: Tables) -> None:
        self._differences, self._when = differences, when
        self._views, self._tables = views, tables

    def rows(self) -> None:
        """Compares the rows of all runs and of all actions, in order."""
        runs = sorted(
            (it.row for it in self._tables.rows()),
            key=lambda it: (it["created_at"], it["run_key"]),
            reverse=True,
        )
        self._equal("runs()", runs, self._views.runs(limit=None).records())
        for name, values in FILTERS.items():
            chosen = [it for it in runs if it[name] in map(clean, values)]
            found = self._views.runs(limit=None, **{name: values})  # type: ignore[arg-type]
            self._equal(f"runs({name}={values})", chosen, found.records())
        actions = [{"run_key": it.key, **row} for it in self._tables.rows() for row in it.actions]
        actions.sort(
            key=lambda it: (it["required_at"], it["run_key"], it["seq"], it["tool_call_id"])
        )
        self._equal("actions()", actions, self._views.actions(limit=None).records())
        waiting = [it for it in actions if it["resolved_at"] is None]
        found = self._views.actions(waiting=True, limit=None).records()
        self._equal("actions(waiting=True)", waiting, found)

    def single_runs(self, random: Random) -> None:
        """Compares the phases and steps of a few runs."""
        runs = self._tables.rows()
        for run in random.sample(runs, min(3, len(runs))):
            run_id, source = run.row["run_id"], run.row["source"]
            phases = self._views.phases(run_id, source).records()
            self._equal(f"phases({run.key})", run.phases, phases)
            steps = self._views.steps(run_id, source).records()
            self._equal(f"steps({run.key})", run.steps, steps)
            others = [it for it in runs if it.row["run_id"] == run_id]
            expected = run.key if len(others) == 1 else "SettingsError"
            try:
                found = self._views.run(run_id).run_key
            except SettingsError:
                found = "SettingsError"
            self._equal(f"run({run_id})", expected, found)

    def question(self, question: Question, names: Sequence[str]) -> None:
        """Compares answers by group."""
        tables, arguments = self._tables, question._asdict()
        second = {"usage": sum_usage, "cost": sum_costs, "status_counts": count_statuses}
        for name in names:
            if name in second:
                self.answer(name, arguments, second[name](tables, question), question.by)
            else:
                times = measure_timing(tables, question, PERCENTILES)
                self.answer(name, {**arguments, "percentiles": PERCENTILES}, times, question.by)

    def answer(
        self,
        name: str,
        arguments: dict[str, Any],
        second: Answer,
        by: Sequence[str],
    ) -> None:
        """Compares the answers to one question."""
        found: Answer = {}
        shown = ", ".join(f"{key}={value!r}" for key, value in arguments.items() if value)
        question = f"{name}({shown})"
        for row in getattr(self._views, name)(**arguments):
            columns = {name: getattr(row, name) for name in field_names(type(row))}
            group = columns.pop("group", None)
            key = [group_value(group[it]) for it in by] if group is not None else []
            # What is left of a key is a column: the status, the phase, a source and its model.
            rest = by if name == "unpriced" else ("status", "phase")
            key += [columns.pop(it) for it in rest if it in columns]
            if tuple(key) in found:
                self._note(question, f"two rows for {key}")
            found[tuple(key)] = columns
        self._equal(question, second, found)

    def _equal(self, question: str, second: Any, first: Any) -> None:
        for place, mine, theirs in _differ(second, first):
            self._note(f"{question}{place}", f"second {mine!r}, first {theirs!r}")

    def _note(self, question: str, difference: str) -> None:
        self._differences.append(f"{self._when}: {question}: {difference}")


def _differ(second: Any, first: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    """Returns the places at which the answers differ, with both values.

    Columns that the second fold does not have are not compared.
    """
    if isinstance(second, dict) and isinstance(first, dict):
        places = second if place.endswith("]") else {**second, **first}
        return [
            it
            for key in places
            for it in _differ(second.get(key, "-"), first.get(key, "-"), f"{place}[{key!r}]")
        ]
    are_lists = isinstance(second, list | tuple) and isinstance(first, list | tuple)
    if are_lists and len(second) == len(first):
        return [
            it
            for at, (mine, theirs) in enumerate(zip(second, first, strict=True))
            for it in _differ(mine, theirs, f"{place}[{at}]")
        ]
    return [] if _is_equal(second, first, place) else [(place, second, first)]


def _is_equal(second: Any, first: Any, place: str) -> bool:
    is_measured = any(f"['{it}" in place for it in ("mean_", "percentiles']", "ranges']"))
    if is_measured and isinstance(second, float) and isinstance(first, float):
        return abs(second - first) <= WITHIN * second
    if isinstance(second, datetime) and isinstance(first, datetime):
        return first.astimezone(UTC).isoformat() == second.astimezone(UTC).isoformat()
    return bool(second == first) and isinstance(second, bool) == isinstance(first, bool)
