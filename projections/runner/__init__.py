"""Catch-up and rebuild: the tables in step with the events."""
