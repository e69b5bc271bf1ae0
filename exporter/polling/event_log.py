"""Log changes of state: a failure is logged when it begins and when it ends, not at every poll."""

from collections import defaultdict

import structlog

from exporter.errors import Reason
from exporter.state.events import Event, Key, Ping, Result

_OF_THE_TARGET: tuple[Reason, ...] = ("connect", "auth")  # logged for the ping, once for all queries

_log = structlog.get_logger("exporter")


class EventLogger:
    """Log when a target or query begins to fail and when it recovers; a change of reason alone is logged at debug."""

    def __init__(self) -> None:
        self._targets: dict[str, Reason | None] = {}
        self._queries: defaultdict[str, dict[Key, Reason | None]] = defaultdict(dict)

    def log(self, event: Event) -> None:
        match event:
            case Ping():
                self._log_ping(event)
            case Result():
                self._log_result(event)

    def forget(self, target: str) -> None:
        self._targets.pop(target, None)
        self._queries.pop(target, None)

    def _log_ping(self, ping: Ping) -> None:
        reason = ping.error.reason if ping.error else None
        before = self._targets.get(ping.target, "never seen")
        self._targets[ping.target] = reason
        if before == reason:
            return
        if ping.error is not None:
            log = _log.warning if before in (None, "never seen") else _log.debug
            log("target down", target=ping.target, reason=reason, error=str(ping.error))
        elif ping.info is not None:
            _log.info("target up", target=ping.target, version=ping.info.version, role=ping.info.role or None)

    def _log_result(self, result: Result) -> None:
        reason = result.error.reason if result.error else None
        before = self._queries[result.target].get(result.key)
        self._queries[result.target][result.key] = reason
        if before == reason:
            return
        names = {"target": result.target, "query": result.query.name, "database": result.database}
        if result.error is None:
            log = _log.debug if before in _OF_THE_TARGET else _log.info
            log("query works again", **names)
        elif reason == "unsupported":
            _log.debug("query not supported here", **names, why=str(result.error))
        else:
            new = before in (None, "unsupported") and reason not in _OF_THE_TARGET
            log = _log.warning if new else _log.debug
            log("query failed", **names, reason=reason, error=str(result.error))
