"""The texts of the statements that have series: for people who asked for them, and never a label."""

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.datastores.base import Operation, Params, States
from exporter.datastores.postgres.slow_statements import SlowStatements
from exporter.datastores.postgres.statement_entries import ENTRIES, statements_extension
from exporter.datastores.postgres.statement_text import LONGEST, shown
from exporter.datastores.postgres.statements import TopStatements
from exporter.query import Row

_LOST = "(the server has lost it)"  # its file of texts was not readable


class Texts:
    """The texts known already: the server reads all of them from a file to tell one."""

    def __init__(self) -> None:
        self.by_queryid: Mapping[int, str] = {}


async def _statement_texts(session: Any, _params: Params, texts: Texts) -> Sequence[Row]:
    """Return a row a statement, "queryid: text"; the slow ones first."""
    members = _members(session.states)
    known = texts.by_queryid
    if not known.keys() >= set(members):
        known = {**known, **await _read(session, [queryid for queryid in members if queryid not in known])}
    texts.by_queryid = {queryid: known[queryid] for queryid in members if queryid in known}
    return [{"text": f"{queryid}: {text}"} for queryid, text in texts.by_queryid.items()]


async def _read(session: Any, queryids: Sequence[int]) -> dict[int, str]:
    """Read texts from the server; more of one than may be shown, for comments are cut."""
    function = (await statements_extension(session)).function(ENTRIES)
    rows = await session.rows(
        f"""
        SELECT DISTINCT ON (queryid) queryid, left(query, {20 * LONGEST}) AS text
        FROM {function}(true)
        WHERE queryid = ANY ($1::bigint[])
        """,  # noqa: S608 - the function is named as the server quotes it
        queryids,
    )
    return {row["queryid"]: _LOST if row["text"] is None else shown(row["text"]) for row in rows}


def _members(states: States) -> list[int]:
    """Name the statements that have series of their own."""
    kinds = (SlowStatements, TopStatements)
    found = [state for kind in kinds for state in states.values() if isinstance(state, kind)]
    return list(dict.fromkeys(queryid for state in found for _, _, queryid in state.members()))


STATEMENT_TEXTS = Operation(_statement_texts, state=Texts)
