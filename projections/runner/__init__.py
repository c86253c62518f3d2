"""Keeps the tables in step with the events."""
