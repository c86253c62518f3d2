"""The page that tells how the tables and the trackers are, and what helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from projections.maintenance.diagnosis import Diagnosis
from projections.web.page import Page
from projections.web.words import count_noun

_NAMED_RUNS = 5
_MARKS = {"ok": "completed", "held": "requires_action", "behind": "in_progress"}


class Trouble(NamedTuple):
    """Something that needs a hand, and the command or the words that help."""

    name: str
    text: str
    command: str | None = None
    # False for what goes on by itself.
    needs_hand: bool = True


class Peculiarity(NamedTuple):
    """Answers of a source that are not as its API documents them."""

    source: str
    text: str
    number: int


def gather(
    page: Page, diagnose: Callable[[], Diagnosis], sources: Callable[[], Sequence[Any]] | None
) -> dict[str, Any]:
    """Returns the values of the page."""
    diagnosis = diagnose()
    reports = list(sources()) if sources is not None else None
    troubles = [*_list_table_troubles(diagnosis), *_list_source_troubles(reports or ())]
    hands = sum(it.needs_hand for it in troubles)
    resting = len(troubles) - hands
    verdict = "All is well"
    if hands:
        verdict = f"{count_noun(hands, 'thing')} {'needs' if hands == 1 else 'need'} a hand"
    elif resting:
        verdict = f"All is well; {count_noun(resting, 'thing')} needs time"
    return {
        "verdict": verdict,
        "diagnosis": diagnosis,
        "troubles": troubles,
        "reports": reports,
        "marks": _MARKS,
        "peculiarities": [
            Peculiarity(it.source, name.replace("_", " "), number)
            for it in reports or ()
            for name, number in sorted(it.peculiarities.items(), key=lambda it: (-it[1], it[0]))
        ],
    }


def _list_table_troubles(diagnosis: Diagnosis) -> list[Trouble]:
    found = []
    schema = diagnosis.schema
    if schema.cure is not None:
        text = (
            f"The tables are {schema.state}: at {schema.found or 'nothing'}, "
            f"needed {schema.needed}."
        )
        found.append(Trouble("Tables", text, schema.cure))
    for it in diagnosis.projections:
        if it.cure is not None:
            text = it.failure or _describe_state(it.state, it.lag)
            is_bad = it.state not in ("ok", "behind", "rebuilding")
            found.append(Trouble(f"Projection {it.name}", text, it.cure, is_bad))
    for run in diagnosis.set_aside[:_NAMED_RUNS]:
        text = f"Set aside, and left out of {', '.join(run.projections)}: {run.reason}"
        found.append(Trouble(run.run_key, text, run.cure))
    if diagnosis.runs_set_aside > _NAMED_RUNS:
        more = diagnosis.runs_set_aside - _NAMED_RUNS
        found.append(Trouble(f"{more:,} more runs", "They are set aside too.", "runfold retry"))
    return found


def _describe_state(state: str, lag: int) -> str:
    if state == "behind":
        return f"{count_noun(lag, 'event')} {'is' if lag == 1 else 'are'} not in yet."
    return f"Its state is: {state}."


def _list_source_troubles(reports: Sequence[Any]) -> list[Trouble]:
    found = []
    for it in reports:
        name = f"{it.source} ({it.worker})"
        if it.advice is not None:
            found.append(Trouble(name, it.advice, needs_hand=not it.is_well))
    return found
