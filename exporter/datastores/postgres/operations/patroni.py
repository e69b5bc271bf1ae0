"""Rows of Patroni's pages about its member and the cluster.

https://patroni.readthedocs.io/en/latest/rest_api.html
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from exporter.datastores.json_text import Json
from exporter.queries.operation import Operation
from exporter.queries.query import Row

_LEADERS = ("primary", "master", "leader", "standby_leader")  # "master" before Patroni 4
_ROLES = ("leader", "standby_leader", "sync_standby", "quorum_standby", "replica")
_STATES = ("running", "streaming", "in archive recovery")  # what is well; all others are "other"


def _member_rows(member: Json) -> Sequence[Row]:
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
    """Name what needs action."""
    settings = ", ".join(sorted(member.get("pending_restart_reason", {})))
    found = {
        "no leader": member.get("cluster_unlocked"),
        f"state {member.get('state')}": member.get("state") != "running",
        f"pending restart{settings and ': '}{settings}": member.get("pending_restart"),
        "paused: there is no automatic failover": member.get("pause"),
        "the watchdog has failed": member.get("watchdog_failed"),
    }
    return [words for words, true in found.items() if true]


def _info_rows(member: Json) -> Sequence[Row]:
    about = member.get("patroni", {})
    role = "primary" if member.get("role") == "master" else member.get("role")
    return [{"scope": about.get("scope"), "member": about.get("name"), "role": role, "version": about.get("version")}]


def _cluster_rows(member: Json, cluster: Json) -> Sequence[Row]:
    """Return one row: how many leaders there are, and how far behind this member is, where that is known."""
    own, members = member.get("patroni", {}).get("name"), cluster.get("members", [])
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


def _member_state_rows(cluster: Json) -> Sequence[Row]:
    """Return a row for each role and state, zeros filled in, and once the names of the members that are not well."""
    members: Sequence[Json] = cluster.get("members", [])
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


PATRONI: Mapping[str, Operation] = MappingProxyType(
    {
        "patroni": Operation(_member_rows, reads=("/patroni",)),
        "patroni_cluster": Operation(_cluster_rows, reads=("/patroni", "/cluster")),
        "patroni_info": Operation(_info_rows, reads=("/patroni",)),
        "patroni_members": Operation(_member_state_rows, reads=("/cluster",)),
    }
)
