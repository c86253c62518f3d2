"""Pure numbers of polling: rates, hazards, delays. No I/O and no clock."""
