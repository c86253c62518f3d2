"""The price list of the package `genai-prices`, of which this is the only home."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from projections.folding.rates import Rate, Rates
from tracker.errors import SettingsError

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice

_PACKAGE = "genai-prices"


class Prices:
    """What models cost and cost earlier, as the installed release of `genai-prices` has it.

    `models` says for the names that a service has, such as deployments at Azure, which model of
    the list each is. `provider` is the list's id of who is paid, like `azure`; without it, it
    is found by the name of the model. Nothing is ever fetched: the list is that of the package,
    and `version` is the package's, with a digest of what was said beside it. Raises
    SettingsError where the package is not installed, or knows no such provider.
    """

    def __init__(
        self, *, models: Mapping[str, str] | None = None, provider: str | None = None
    ) -> None:
        require_prices(installed())
        self._models, self._provider = dict(models or {}), provider
        self._list: DataSnapshot | None = None
        self._known: dict[str, tuple[str, ModelInfo] | None] = {}
        self._rates: dict[tuple[str, int], Rates] = {}
        self.version = metadata.version(_PACKAGE)
        if models or provider is not None:
            # They decide on what a run costs as much as the list does.
            settings = json.dumps([self._models, provider], sort_keys=True)
            self.version += f"+{sha256(settings.encode()).hexdigest()[:8]}"
        if provider is not None:
            self._check(provider)

    def rates(self, model: str, moment: datetime) -> Rates | None:
        """The rates of a model for a run created at `moment`; None where it is not known."""
        if model not in self._known:
            self._known[model] = self._find(self._models.get(model, model))
        known = self._known[model]
        if known is None:
            return None
        name, found = known
        prices = found.get_prices(moment)
        key = name, id(prices)
        if key not in self._rates:
            self._rates[key] = _rates(name, prices)
        return self._rates[key]

    def _find(self, model: str) -> tuple[str, ModelInfo] | None:
        try:
            provider, found = self._loaded().find_provider_model(model, None, self._provider, None)
        except LookupError:
            return None
        return f"{provider.id}/{found.id}", found

    def _check(self, provider: str) -> None:
        from genai_prices.data_snapshot import find_provider_by_id

        if find_provider_by_id(self._loaded().providers, provider) is None:
            known = ", ".join(sorted(it.id for it in self._loaded().providers))
            raise SettingsError(f"no provider {provider!r} in the price list: {known}")

    def _loaded(self) -> DataSnapshot:
        # Imported late: it takes a third of a second.
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot

        if self._list is None:
            # Not the one that a host may have set to update itself: the version names this one.
            self._list = DataSnapshot(providers=providers, from_auto_update=False)
        return self._list


def installed() -> bool:
    """Whether the package of prices is there."""
    return find_spec("genai_prices") is not None


def require_prices(there: bool) -> None:
    """Raises SettingsError unless there are prices."""
    if not there:
        raise SettingsError('costs need a price list: pip install "runfold[cost]"')


def _rates(name: str, prices: ModelPrice) -> Rates:
    kinds = ("input_mtok", "output_mtok", "cache_read_mtok", "output_reasoning_mtok")
    return Rates(name, *(_rate(getattr(prices, kind)) for kind in kinds))


def _rate(price: Any) -> Rate | None:
    from genai_prices.types import TieredPrices

    if isinstance(price, TieredPrices):
        return Rate(price.base, tuple((it.start, it.price) for it in reversed(price.tiers)))
    return None if price is None else Rate(price)
