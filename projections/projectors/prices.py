"""The price list of the package `genai-prices`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from projections.folding.rates import Rate, Rates
from tracker.core.recent_dict import RecentDict
from tracker.errors import SettingsError

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice

_PACKAGE = "genai-prices"
_MODELS = 10_000


class Prices:
    """The current and earlier prices of models, as in the installed release of `genai-prices`.

    `models` maps the names that a service uses, such as deployments at Azure, to models of the
    list. `provider` is the list's id of the provider that is paid, like `azure`; without it, the
    name of the model decides. Nothing is fetched from the network: the list is the package's.
    `version` is the version of the package, followed by a digest of these settings if there are
    any. Raises SettingsError where the package is not installed, or the provider is not in it.
    """

    def __init__(
        self, *, models: Mapping[str, str] | None = None, provider: str | None = None
    ) -> None:
        require_prices(is_installed())
        self._models, self._provider = dict(models or {}), provider
        self._snapshot: DataSnapshot | None = None
        # By the name of a model, which a service may choose: one tuple, or an empty one.
        self._known: RecentDict[str, tuple[()] | tuple[str, ModelInfo]] = RecentDict(_MODELS)
        self._rates: dict[tuple[str, int], Rates] = {}
        self.version = metadata.version(_PACKAGE)
        if models or provider is not None:
            # The cost of a run depends on the settings as much as on the list.
            settings = json.dumps([self._models, provider], sort_keys=True)
            self.version += f"+{sha256(settings.encode()).hexdigest()[:8]}"
        if provider is not None:
            self._check(provider)

    def rates(self, model: str, moment: datetime) -> Rates | None:
        """Returns the rates for a run created at `moment`; None for an unknown model."""
        known = self._known.get(model)
        if known is None:
            known = self._find(self._models.get(model, model))
            self._known.put(model, known)
        if not known:
            return None
        name, info = known
        prices = info.get_prices(moment)
        key = name, id(prices)
        if key not in self._rates:
            self._rates[key] = _convert_rates(name, prices)
        return self._rates[key]

    def _find(self, model: str) -> tuple[()] | tuple[str, ModelInfo]:
        try:
            provider, info = self._load().find_provider_model(model, None, self._provider, None)
        except LookupError:
            return ()
        return f"{provider.id}/{info.id}", info

    def _check(self, provider: str) -> None:
        from genai_prices.data_snapshot import find_provider_by_id

        if find_provider_by_id(self._load().providers, provider) is None:
            known = ", ".join(sorted(it.id for it in self._load().providers))
            raise SettingsError(f"no provider {provider!r} in the price list: {known}")

    def _load(self) -> DataSnapshot:
        # Imported on first use: it takes a third of a second.
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot

        if self._snapshot is None:
            # Not the global one: the host may let that update itself, and `version` names this.
            self._snapshot = DataSnapshot(providers=providers, from_auto_update=False)
        return self._snapshot


def is_installed() -> bool:
    """True if the package `genai-prices` is installed."""
    return find_spec("genai_prices") is not None


def require_prices(is_available: bool) -> None:
    """Raises SettingsError unless a price list is available."""
    if not is_available:
        raise SettingsError('costs need a price list: pip install "runfold[cost]"')


def _convert_rates(name: str, prices: ModelPrice) -> Rates:
    units = ("input_mtok", "output_mtok", "cache_read_mtok", "output_reasoning_mtok")
    return Rates(name, *(_convert_rate(getattr(prices, unit)) for unit in units))


def _convert_rate(price: Any) -> Rate | None:
    from genai_prices.types import TieredPrices

    if isinstance(price, TieredPrices):
        return Rate(price.base, tuple((it.start, it.price) for it in reversed(price.tiers)))
    return None if price is None else Rate(price)
