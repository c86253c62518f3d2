"""Price lists, runs with costs, and their sums."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from projections import Views
from projections.folding.rates import Rate, Rates, special_tier
from projections.row_types import CostRow, RunRow
from tests.support.run_builder import created, ended, second, started
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import Append, EventStore

FIRST = Rates("fake/small", Rate(Decimal(2)), Rate(Decimal(8)), Rate(Decimal("0.5")))


class PriceList(NamedTuple):
    """Rates of each model by their start, the latest last."""

    models: dict[str, list[tuple[datetime, Rates]]]
    version: str = "fake 1"
    settings: str | None = None

    def rates(self, model: str, moment: datetime, tier: str | None = None) -> Rates | None:
        if tier is not None:
            return None
        begun = [rates for since, rates in self.models.get(model, []) if since <= moment]
        return begun[-1] if begun else None


def price_list(model: str, rates: Rates = FIRST, version: str = "fake 1") -> PriceList:
    """Returns a price list with one model."""
    return PriceList({model: [(datetime(2000, 1, 1, tzinfo=UTC), rates)]}, version)


def nanodollars(run: RunRow, prompt: int, completion: int, cached: int) -> tuple[int, int] | None:
    """Returns the input and output cost of a run, at rates in whole nanodollars a token."""
    if run.prompt_tokens is None or run.completion_tokens is None:
        return None
    known = run.cached_tokens or 0
    known = known if known <= run.prompt_tokens else 0
    input_ = (run.prompt_tokens - known) * prompt + known * cached
    output = run.completion_tokens * completion
    return None if input_ + output > 9_000 * 10**9 else (input_, output)


def cost_tables(
    ended_runs: Iterable[RunRow], model: str, version: str = "fake 1"
) -> dict[str, list[tuple[Any, ...]]]:
    """Returns the tables of costs if `model` has the rates of FIRST, and no other has any."""
    rows: list[tuple[Any, ...]] = []
    sums: dict[str, dict[tuple[Any, ...], list[Any]]] = {"cost_hourly": {}, "cost_totals": {}}
    for run in ended_runs:
        silent = run.prompt_tokens is None or run.completion_tokens is None
        is_priced = run.model == model and special_tier(run.service_tier) is None
        cost = nanodollars(run, 2_000, 8_000, 500) if is_priced else None
        money = (None, None, None) if cost is None else (*cost, 0)
        rows.append((run.run_key, version, *money))
        hour = run.created_at.replace(minute=0, second=0, microsecond=0)
        time = (hour, run.created_at.minute // 15)
        kind = (run.source, run.assistant_id or "", run.model or "", run.outcome)
        kind = (*kind, run.service_tier or "", version)
        for table, key in (("cost_hourly", (*time, *kind)), ("cost_totals", kind)):
            found = sums[table].setdefault(key, [0, 0, 0, None, None, None])
            found[:3] = found[0] + 1, found[1] + silent, found[2] + (cost is None and not silent)
            for at, nano in enumerate(money, 3):
                found[at] = found[at] if nano is None else (found[at] or 0) + nano
    return {
        "run_costs": sorted(rows),
        **{name: sorted((*key, *it) for key, it in found.items()) for name, found in sums.items()},
    }


TWICE = Rates("fake/large", Rate(Decimal(4)), Rate(Decimal(16)), Rate(Decimal(1)))


USED = Usage(prompt_tokens=1000, completion_tokens=100, cached_tokens=400, reasoning_tokens=50)


# (600 * 2 + 400 * 0.5) / 1e6 and 100 * 8 / 1e6.
COST = (Decimal("0.0014"), Decimal("0.0008"), Decimal("0.0022"))


DOUBLED = tuple(2 * it for it in COST)


def add_ended_run(store: EventStore, run_id: str, usage: Usage | None, **first: Any) -> None:
    """Appends the events of a run that has ended."""
    first = {"run_id": run_id, "model": "small", **first}
    end = ended(first.pop("end", e.RunCompleted), 20, stamp=19, since=8, usage=usage)
    story = [created(**first), started(2, stamp=1, since=1), end]
    store.append([Append(f"assistants:{run_id}", 0, story)])


def correct_usage(store: EventStore, run_id: str, usage: Usage, version: int = 3) -> None:
    """Appends a correction of the usage of a run."""
    reported = e.RunUsageReported(observed_at=second(90), usage=usage)
    store.append([Append(f"assistants:{run_id}", version, [reported])])


def open_views(url: str, store: EventStore, prices: PriceList) -> Views:
    """Returns views with these prices, caught up with the store."""
    views = Views(url, store=store, prices=prices)
    views.upgrade()
    views.catch_up()
    return views


def money(row: CostRow) -> tuple[Decimal | None, ...]:
    """Returns the costs of a row."""
    return row.input_dollars, row.output_dollars, row.total_dollars
