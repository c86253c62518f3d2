"""Verification, pruning and diagnosis of the tables."""
