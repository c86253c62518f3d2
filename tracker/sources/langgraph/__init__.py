"""Runs of a LangGraph server."""
