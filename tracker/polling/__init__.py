"""When to ask a service about a run, and what to do with the answer."""
