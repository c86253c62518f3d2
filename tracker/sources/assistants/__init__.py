"""Runs of the Assistants API."""
