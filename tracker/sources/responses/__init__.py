"""Responses in background mode."""
