"""The simulated service over HTTP: routes, streams and faults."""
