"""Payloads and operations of the simulated APIs."""
