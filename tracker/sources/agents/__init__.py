"""Turns of sessions of the Agents API."""
