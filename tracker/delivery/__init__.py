"""Delivery of events to handlers: at least once, in order for each run, at once for many runs."""

from __future__ import annotations

from tracker.delivery.handlers import Delivery, DeliveryProgress, ParkedRun

__all__ = ["Delivery", "DeliveryProgress", "ParkedRun"]
