"""What a user expects of a server, looked up and compared: one row a kind, with the number of drifts and each in words.

What cannot be checked is a drift as well, with the cause. The words may be public: they hold no text of a setting and
no content of a table.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.datastores.postgres.operations.expected_objects import OBJECTS, drift_row
from exporter.datastores.postgres.operations.settings import OWN, VALUES, Setting, meets
from exporter.datastores.postgres.session import OperationSession
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_SETTINGS = f"""
SELECT
    expected.name AS written,
    s.name AS name,
    s.setting AS setting,
    s.unit AS unit,
    s.vartype AS vartype,
    CASE s.setting
        WHEN plain.setting THEN current_setting(s.name)
        ELSE s.setting || coalesce(' ' || s.unit, '')
    END AS shown,
    s.own AS own,
    s.pending_restart AS pending,
    pg_has_role('pg_read_all_settings', 'usage') AS all_seen
FROM unnest($2::text[]) WITH ORDINALITY AS expected (name, position)
LEFT JOIN ({VALUES}) AS s ON lower(s.name) = lower(expected.name)
LEFT JOIN pg_settings AS plain ON plain.name = s.name
ORDER BY expected.position
"""  # noqa: S608 - all of it is our own
_REPLICAS = """
SELECT
    count(*) FILTER (WHERE state = 'streaming' AND replay_lsn IS NOT NULL) AS streaming,
    count(*) FILTER (WHERE state IS NULL) AS hidden
FROM pg_stat_replication AS sender
WHERE NOT EXISTS (
    SELECT FROM pg_replication_slots AS slot WHERE slot.active_pid = sender.pid AND slot.slot_type = 'logical'
)
"""


async def _role(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    expected = session.target.expect.role
    return drift_row([f"is {session.info.role}, expected {expected}"] if session.info.role != expected else [])


async def _settings(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    expected = session.target.expect.settings
    rows = await session.rows(_SETTINGS, OWN, list(expected))
    return drift_row(drift for row in rows if (drift := _setting_drift(row, expected[row["written"]])))


def _setting_drift(row: Mapping[str, Any], expected: str) -> str | None:
    if row["name"] is None:
        hidden = "" if row["all_seen"] else ", or none to be seen without pg_read_all_settings"
        return f"{row['written']} is no setting of this server{hidden}"
    if row["own"]:
        return f"{row['name']} cannot be checked: the exporter's sessions or its role have a value of their own"
    met = meets(Setting(row["name"], row["setting"], row["unit"], row["vartype"]), expected)
    if met:
        return None
    restart = ", a restart is pending" if row["pending"] else ""
    if row["vartype"] == "string":  # it may hold a password, an address, a command
        return f"{row['name']} is not as expected{restart}"
    wrong = ", which is no value for it" if met is None else ""
    return f"{row['name']} is {row['shown']}, expected {expected}{wrong}{restart}"


async def _replicas(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    expected = session.target.expect.replicas or 0
    [row] = await session.rows(_REPLICAS)
    missing = max(0, expected - row["streaming"])
    if not missing:
        return drift_row([])
    unseen = f", {row['hidden']} cannot be told without pg_read_all_stats" if row["hidden"] else ""
    return [{"broken": float(missing), "findings": [f"{row['streaming']} stream, expected {expected}{unseen}"]}]


EXPECTATIONS: Mapping[str, Operation] = {
    "expected_role": Operation(_role),
    "expected_settings": Operation(_settings),
    "expected_replicas": Operation(_replicas),
    **OBJECTS,
}
