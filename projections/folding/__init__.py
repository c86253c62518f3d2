"""Pure functions from events to the values of rows."""
