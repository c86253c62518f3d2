"""Measurements, never run by default: `python -m tests.benchmarks [--tiny] [names]`.

They print ratios to floors and to stock parts that are measured in the same run, and assert only
that what was measured is right, never that it was fast. `--tiny` checks that they still run.
"""
