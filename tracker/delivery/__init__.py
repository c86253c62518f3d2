"""Delivery of events to handlers: at least once, in order of position, from a named checkpoint."""

from __future__ import annotations

from tracker.delivery.handlers import Delivery, DeliveryProgress

__all__ = ["Delivery", "DeliveryProgress"]
