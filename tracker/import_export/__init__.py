"""Histories as lines of JSON: import, export and restore."""
