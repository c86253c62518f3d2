"""A model of the price list, with its rates over time and by service tier."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from projections.folding.rates import Rate, Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, Provider

_UNITS = (
    *("input_mtok", "output_mtok", "cache_read_mtok", "output_reasoning_mtok"),
    *("cache_write_mtok", "cache_write_5m_mtok", "cache_write_1h_mtok", "requests_kcount"),
)


class ListedModel:
    """A model of the list `genai-prices`, as one provider sells it."""

    def __init__(self, provider: Provider, info: ModelInfo) -> None:
        self._name, self._info = f"{provider.id}/{info.id}", info
        # The list applies the prices of tiers to the provider's own models only.
        self._has_tiers = any(it is info for it in provider.models)
        self._rates: dict[tuple[object, ...], Rates] = {}

    def rates(
        self, moment: datetime, tier: str | None = None, factor: Decimal | None = None
    ) -> Rates | None:
        """Returns the rates at a time; None for a service tier without a price.

        With a `factor`, the tier costs this much of the default one.
        """
        prices = self._info.get_prices(moment)
        key: tuple[object, ...] = id(prices), factor
        if tier is not None and factor is None:
            variants = self._find_variants(moment, tier)
            if not variants:
                return None
            key = id(prices), *map(id, variants)
        found = self._rates.get(key)
        if found is None:
            if tier is not None and factor is None:
                prices = self._info.get_prices(moment, _context(tier))
            found = _convert_rates(self._name, prices)
            found = self._rates[key] = found if factor is None else found.scale(factor)
        return found

    def _find_variants(self, moment: datetime, tier: str) -> list[PriceVariant]:
        """Returns the prices that the list has for a service tier at a time."""
        context = _context(tier)
        return [
            it
            for it in (self._info.price_variants or () if self._has_tiers else ())
            if (it.constraint is None or it.constraint.active(moment))
            and all(context.get(key) == value for key, value in it.when.items())
        ]


def _context(tier: str) -> dict[str, str]:
    """Returns a service tier as the list names it: some call the tier `batch` a processing."""
    return {"service_tier": tier, "processing": tier}


def _convert_rates(name: str, prices: ModelPrice) -> Rates:
    return Rates(name, *(_convert_rate(getattr(prices, unit)) for unit in _UNITS))


def _convert_rate(price: Any) -> Rate | None:
    from genai_prices.types import TieredPrices

    if isinstance(price, TieredPrices):
        return Rate(price.base, tuple((it.start, it.price) for it in reversed(price.tiers)))
    return None if price is None else Rate(price)
