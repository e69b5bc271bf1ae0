"""The rate limit of the web file: a token bucket for each client."""

import time
from collections import OrderedDict

from exporter.web_config import RateLimit

_REMEMBERED = 1024  # clients; who is forgotten starts with a full bucket


class Throttle:
    """Let a request of a client through each interval, and a burst of them after a rest."""

    def __init__(self) -> None:
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()  # and when

    def lets_through(self, limit: RateLimit, client: str) -> bool:
        if not limit.interval:
            return True
        now = time.monotonic()
        spent, at = self._spent.get(client, (0.0, now))
        spent = max(0.0, spent - (now - at) / limit.interval)
        through = spent + 1 <= limit.burst
        self._spent[client] = (spent + through, now)
        self._spent.move_to_end(client)
        if len(self._spent) > _REMEMBERED:
            self._spent.popitem(last=False)
        return through
