"""The pure core: snapshots in, events out. No I/O, no clock, no randomness, no logging."""
