"""Pure functions that turn events into the values of rows."""
