"""Metrics for Prometheus and spans for OpenTelemetry; each needs the extra of its name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.observability.otel import export_spans as export_spans
    from tracker.observability.prometheus import PrometheusMetrics as PrometheusMetrics

_HOMES = {
    "PrometheusMetrics": "tracker.observability.prometheus",
    "export_spans": "tracker.observability.otel",
}

__all__ = ["PrometheusMetrics", "export_spans"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tracker.observability' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
