"""The price list of the package `genai-prices`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from projections.folding.rates import Rates
from projections.projectors.listed_model import ListedModel
from tracker.core.recent_dict import RecentDict
from tracker.errors import SettingsError

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

_PACKAGE = "genai-prices"
_MODELS = 10_000
# More is a slip.
_HIGHEST_FACTOR = 1_000


class Prices:
    """The current and earlier prices of models, as in the installed release of `genai-prices`.

    `models` maps the names that a service uses, such as deployments at Azure, to models of the
    list. `provider` is the list's id of the provider that is paid, like `azure`; without it, the
    name of the model decides. `tiers` has factors on the default price by service tier, such as
    `{"flex": 0.5}`; a tier without one has the price that the list has for it, or none.

    Nothing is fetched from the network: the list is the package's. `version` is the version of the
    package, followed by a digest of `settings` if there are any. Raises SettingsError where the
    package is not installed, the provider is not in it, or a setting is of another type.
    """

    def __init__(
        self,
        *,
        models: Mapping[str, str] | None = None,
        provider: str | None = None,
        tiers: Mapping[str, Decimal | float | str] | None = None,
    ) -> None:
        require_prices(is_installed())
        self._models, self._provider = _check_models(models or {}), provider
        self._tiers = {name.strip().lower(): _factor(name, it) for name, it in _items(tiers)}
        self._snapshot: DataSnapshot | None = None
        # By the name of a model, which a service may choose; empty for an unknown one.
        self._known: RecentDict[str, ListedModel | tuple[()]] = RecentDict(_MODELS)
        self.settings = _write_settings(self._models, provider, self._tiers)
        self.version = metadata.version(_PACKAGE)
        if self.settings is not None:
            # The cost of a run depends on the settings as much as on the list.
            self.version += f"+{sha256(self.settings.encode()).hexdigest()[:8]}"
        if provider is not None:
            self._check(provider)

    def rates(self, model: str, moment: datetime, tier: str | None = None) -> Rates | None:
        """Returns the rates for a run created at `moment`, in a service tier.

        None for an unknown model, and for a tier without a price.
        """
        found = self._known.get(model)
        if found is None:
            found = self._find(self._models.get(model, model))
            self._known.put(model, found)
        if not found:
            return None
        return found.rates(moment, tier, None if tier is None else self._tiers.get(tier))

    def _find(self, model: str) -> ListedModel | tuple[()]:
        try:
            return ListedModel(*self._load().find_provider_model(model, None, self._provider, None))
        except LookupError:
            return ()

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


def _check_models(models: Mapping[str, str]) -> dict[str, str]:
    for name, it in _items(models):
        if not isinstance(name, str) or not isinstance(it, str):
            raise SettingsError(f"`models` maps names to names: {name!r} to {it!r} is none")
    return dict(models)


def _factor(tier: str, value: object) -> Decimal:
    try:
        factor = Decimal(str(value))
    except InvalidOperation:
        factor = Decimal("NaN")
    if isinstance(value, bool) or not factor.is_finite() or not 0 <= factor <= _HIGHEST_FACTOR:
        raise SettingsError(
            f"the factor of the tier {tier!r} is a number from 0 to {_HIGHEST_FACTOR}, "
            f"not {value!r}"
        )
    return factor


def _items(mapping: Mapping[str, Any] | None) -> Iterable[tuple[str, Any]]:
    if mapping is not None and not isinstance(mapping, Mapping):
        raise SettingsError(f"`models` and `tiers` of the prices are mappings, not {mapping!r}")
    return (mapping or {}).items()


def _write_settings(
    models: Mapping[str, str], provider: str | None, tiers: Mapping[str, Decimal]
) -> str | None:
    factors = {name: str(it.normalize()) for name, it in tiers.items()}
    settings = {"models": models, "provider": provider, "tiers": factors}
    given = {name: it for name, it in settings.items() if it}
    return json.dumps(given, sort_keys=True, ensure_ascii=False) if given else None
