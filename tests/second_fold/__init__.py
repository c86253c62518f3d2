"""A second fold: the answers of the views, computed apart from them over whole histories.

It shares no rule and no code with `projections`. Histories are made at random, recorded as a
tracker records them, and asked the same questions as the views: `python -m tests.second_fold`.
"""
