"""Leases: several trackers that use one database divide the runs among them.

On PostgreSQL the threads of a source are spread over 256 shards by a hash, and a tracker polls
the shards that it holds a lease of. Shards, and not single runs, because a lease has to be
renewed: 256 rows every two seconds in one statement, however many runs there are, against 100,000
rows for as many runs. By thread, because the runs of one thread are polled with one page. A lease
lasts six seconds by the database's clock, and is renewed every two: the shards of a tracker that
died are polled by others within ten seconds. Leases only divide work; the histories are protected
by the version that each append expects.

An SQLite file has one tracker; a second one is refused.
"""

from __future__ import annotations
