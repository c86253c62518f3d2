"""One `Views` shared between threads: questions beside each other, and beside a catch-up."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from projections import Views
from tests.benchmarks.many_runs import fill
from tracker import open_event_store


def test_views_are_shared_between_threads(database_url: str) -> None:
    with closing(open_event_store(database_url)) as store, Views(database_url) as views:
        views.upgrade()
        fill(store, 60)
        last = store.last_position()

        def work(number: int) -> int:
            if number % 4 == 0:
                return views.catch_up()
            seen = views.runs(limit=None)
            # Each answer is of one moment, whatever others do meanwhile.
            assert sum(it.runs for it in views.status_counts()) >= len(seen)
            assert all(views.run(it.run_id).run_key == it.run_key for it in seen[:3])
            return 0

        with ThreadPoolExecutor(8) as pool:
            applied = list(pool.map(work, range(32)))
        assert sum(applied) == last
        assert len(views.runs(limit=None)) == 60
        assert views.verify() == []
