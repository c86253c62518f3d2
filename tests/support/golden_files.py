"""Golden files: databases and events of earlier releases, which are never changed."""

import json

from tests.support.paths import GOLDEN

# The names of the databases: SQLite files, and dumps of PostgreSQL.
GOLDEN_DATABASES = sorted(it.name for it in GOLDEN.glob("runs_*.*"))
# An event in each shape that was released, as a line of an export.
GOLDEN_EVENTS = [json.loads(line) for line in (GOLDEN / "events.jsonl").read_text().splitlines()]
