"""Log in anew: on a server that refuses logins, open connections go on working."""

from collections.abc import Sequence

from exporter.datastores.postgres.session import OperationSession
from exporter.queries.histogram import Histogram
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_SECONDS = 3.0
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


async def _login(session: OperationSession, _params: Params, durations: Histogram) -> Sequence[Row]:
    """Return one row: whether it succeeded, the reason if not, and the durations of all that did."""
    login = await session.log_in(_SECONDS)
    if login.refused is None:
        durations.observe(login.seconds)
    counted = durations.value()
    return [
        {
            "success": login.refused is None,
            "status": "fail" if login.refused else "pass",
            "refused": login.refused,
            "buckets": dict(counted.buckets),
            "seconds": counted.sum,
        }
    ]


LOGIN = Operation(_login, state=lambda: Histogram(_BOUNDS))
