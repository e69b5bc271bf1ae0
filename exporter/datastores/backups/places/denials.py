"""What of a place may not be read: the ping says it, until it may."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from exporter.errors import QueryError

_SECONDS = 900.0  # then what was denied has not been asked for again: it is gone, or out of the policy
_MOST = 200


class Denials:
    """Remember refusals by the action that they need and what it was for."""

    def __init__(self) -> None:
        self._denied: dict[tuple[str, str], float] = {}

    @contextmanager
    def noting(self, action: str, what: str) -> Iterator[None]:
        """Note where the block is refused, or no longer."""
        try:
            yield
        except QueryError as error:
            if error.reason == "privilege" and (len(self._denied) < _MOST or (action, what) in self._denied):
                self._denied[action, what] = time.monotonic()
            raise
        self._denied.pop((action, what), None)

    def actions(self) -> list[str]:
        """Return the actions that were refused lately."""
        now = time.monotonic()
        self._denied = {key: since for key, since in self._denied.items() if now - since < _SECONDS}
        return sorted({action for action, _ in self._denied})
