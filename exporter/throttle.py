"""The rate limit of the web file: a token bucket."""

import time

from exporter.web_config import RateLimit


class Throttle:
    """Let a request through each interval, and a burst of them after a rest."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._at = time.monotonic()

    def lets_through(self, limit: RateLimit) -> bool:
        if not limit.interval:
            return True
        now = time.monotonic()
        self._spent = max(0.0, self._spent - (now - self._at) / limit.interval)
        self._at = now
        if self._spent + 1 > limit.burst:
            return False
        self._spent += 1
        return True
