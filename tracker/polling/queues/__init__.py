"""Queues of polls and of background requests."""
