"""A bridge to a message bus: every event once or more often, with its position as the key.

The bus, or whoever reads it, drops a key that it has seen: `position` is that of the event in the
whole store, and the same whenever the event is delivered again.
"""

from typing import Protocol

from tracker import Delivery, Tracker


class Bus(Protocol):
    """The part of a client of Kafka, NATS, AMQP … that the bridge needs."""

    def publish(self, topic: str, *, key: str, body: str) -> None:
        """Sends a message, and returns once the bus has it; raises if it does not."""


def publish_events(tracker: Tracker, bus: Bus) -> None:
    """Publishes all events from the first recorded one on; to be called before the start.

    The events of a run stay in order. After an error, it goes on with the same event.
    """

    @tracker.on(name="message bus", since="start")
    def publish(delivery: Delivery) -> None:
        topic = f"runs.{type(delivery.event).__name__}"
        body = delivery.event.model_dump_json(exclude_defaults=True)
        bus.publish(topic, key=str(delivery.position), body=body)
