"""A simulation: trackers, a database and services that fail, on virtual time and from a seed.

The code of the project runs unchanged: tracker, polling, recording, handlers and views. Processes
are killed and paused at any moment, requests and transactions fail, clocks are wrong. Then all
faults end, everything has to finish, and the promises of the README are checked as laws.
`python -m tests.simulation --help`.
"""
