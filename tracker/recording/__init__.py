"""Turns observations into events and appends them to the event store."""
