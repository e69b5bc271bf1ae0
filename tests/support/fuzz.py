"""How many examples the fuzz tests try: few with the other tests, a hundred times as many in `make slow`."""

import os

from hypothesis import settings

TIMES = 100 if os.environ.get("FUZZ") == "long" else 1


def examples(count: int) -> settings:
    return settings(max_examples=count * TIMES, deadline=None)
