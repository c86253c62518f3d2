"""Polls services about runs: decides the time of each request, and applies the answers."""

from __future__ import annotations
