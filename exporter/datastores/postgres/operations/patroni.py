"""What Patroni says of its member and of the cluster.

https://patroni.readthedocs.io/en/latest/rest_api.html
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from exporter.errors import QueryError
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

Json = Mapping[str, Any]

_LEADERS = ("primary", "master", "leader", "standby_leader")  # "master" before Patroni 4
_ROLES = ("leader", "standby_leader", "sync_standby", "quorum_standby", "replica")
_STATES = ("running", "streaming", "in archive recovery")  # what is well; all others are "other"


async def _member(session: Any, _params: Params, _state: None) -> Sequence[Row]:
    member = await _page(session, "/patroni")
    troubles = list(_troubles(member))
    unlocked = bool(member.get("cluster_unlocked"))
    return [
        {
            "running": member.get("state") == "running",
            "leader": member.get("role") in _LEADERS,
            "timeline": member.get("timeline"),
            "pending_restart": bool(member.get("pending_restart")),
            "paused": bool(member.get("pause")),
            "unlocked": unlocked,
            "dcs_last_seen": member.get("dcs_last_seen"),
            "status": "fail" if unlocked else "warn" if troubles else "pass",
            "troubles": troubles,
        }
    ]


def _troubles(member: Json) -> list[str]:
    """Say in words what somebody has to do something about."""
    settings = ", ".join(sorted(member.get("pending_restart_reason", {})))
    found = {
        "no leader": member.get("cluster_unlocked"),
        f"state {member.get('state')}": member.get("state") != "running",
        f"pending restart{settings and ': '}{settings}": member.get("pending_restart"),
        "paused: there is no automatic failover": member.get("pause"),
        "the watchdog has failed": member.get("watchdog_failed"),
    }
    return [words for words, true in found.items() if true]


async def _info(session: Any, _params: Params, _state: None) -> Sequence[Row]:
    member = await _page(session, "/patroni")
    about = member.get("patroni", {})
    role = "primary" if member.get("role") == "master" else member.get("role")
    return [{"scope": about.get("scope"), "member": about.get("name"), "role": role, "version": about.get("version")}]


async def _cluster(session: Any, _params: Params, _state: None) -> Sequence[Row]:
    """Return one row: how many leaders there are, and how far behind this member is, where that is known."""
    own = (await _page(session, "/patroni")).get("patroni", {}).get("name")
    members = await _members(session)
    leaders = sum(member.get("role") in _LEADERS for member in members)
    lag = next((member.get("lag") for member in members if member.get("name") == own), None)
    return [
        {
            "leaders": leaders,
            "lag": lag if isinstance(lag, int) else None,  # "unknown" where Patroni does not know
            "status": "pass" if leaders == 1 else "fail",
            "troubles": [] if leaders == 1 else [f"{leaders or 'no'} leader{'s' if leaders else ''}"],
        }
    ]


async def _member_states(session: Any, _params: Params, _state: None) -> Sequence[Row]:
    """Return a row for each role and state, zeros filled in, and once the names of the members that are not well."""
    members = await _members(session)
    counts = Counter((str(member.get("role")), _state_of(member)) for member in members)
    unwell = [f"{member.get('name')}: {member.get('state')}" for member in members if _state_of(member) == "other"]
    keys = dict.fromkeys((*((role, state) for role in _ROLES for state in (*_STATES, "other")), *sorted(counts)))
    return [
        {"role": role, "state": state, "members": counts[role, state], "unwell": unwell if number == 0 else None}
        for number, (role, state) in enumerate(keys)
    ]


def _state_of(member: Json) -> str:
    state = str(member.get("state"))
    return state if state in _STATES else "other"


async def _members(session: Any) -> Sequence[Json]:
    members: Sequence[Json] = (await _page(session, "/cluster")).get("members", [])
    return members


async def _page(session: Any, path: str) -> Json:
    """Read a page once in a pass; what was not answered is not asked again."""
    if session.patroni is None:
        raise QueryError("unsupported", "the target names no patroni")
    readings: dict[str, Json | QueryError] = session.readings
    if path not in readings:
        try:
            readings[path] = await session.patroni.get(path)
        except QueryError as error:
            readings[path] = error
    page = readings[path]
    if isinstance(page, QueryError):
        raise page
    return page


PATRONI: Mapping[str, Operation] = MappingProxyType(
    {
        "patroni": Operation(_member),
        "patroni_cluster": Operation(_cluster),
        "patroni_info": Operation(_info),
        "patroni_members": Operation(_member_states),
    }
)
