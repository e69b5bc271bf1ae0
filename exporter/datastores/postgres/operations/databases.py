"""Which databases are visited, and why the others are not."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from exporter.datastores.pgwire.encoding import is_replaced
from exporter.datastores.postgres.session import OperationSession, Record
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_DATABASES = """
SELECT
    datname::text AS datname,
    octet_length(datname::text) AS octets,
    datconnlimit = -2 AS broken,
    datistemplate AS template,
    datallowconn AS connectable,
    has_database_privilege(oid, 'CONNECT') AS permitted
FROM pg_database
ORDER BY datname
"""
_WHY: Mapping[str, str] = MappingProxyType(
    {
        "broken": "the remains of an interrupted DROP DATABASE",
        "template": "a template",
        "no_connect": "takes no connections",
        "excluded": "left out by the target's databases",
        "not_utf8": "its name is not UTF-8, or the URL's database has another encoding",
        "no_privilege": "the role may not connect",
        "not_pooled": "PgBouncer does not know it, or leads to another server with it",
    }
)


async def _databases(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    """Return a row a state, zeros filled in: how many databases, and the names of those not visited, with why.

    status: warn of those that refuse us, though they should not.
    """
    names: dict[str, list[str]] = {state: [] for state in ("visited", "refused", *_WHY)}
    for row in await session.rows(_DATABASES):
        name = str(row["datname"])
        state = _state_of(row, session)
        names[state].append(f"{name}: {_WHY.get(state) or session.refusal(name)}")
    return [
        {
            "state": state,
            "databases": float(len(found)),
            "names": None if state == "visited" else found,
            "status": "warn" if state == "refused" and found else "pass",
        }
        for state, found in names.items()
    ]


def _state_of(row: Record, session: OperationSession) -> str:
    """Name the first thing that keeps a database from being visited."""
    name = str(row["datname"])
    found = {
        "broken": row["broken"],
        "template": row["template"],
        "no_connect": not row["connectable"],
        "excluded": not session.target.databases.matches(name),
        "not_utf8": is_replaced(name, row["octets"]),
        "not_pooled": session.is_unknown_to_pooler(name),
        "no_privilege": not row["permitted"],
        "refused": session.refusal(name) is not None,
    }
    return next((state for state, holds in found.items() if holds), "visited")


DATABASES = Operation(_databases)
