"""Statements that call an extension's functions, which lie in a schema that only the server knows."""

from collections.abc import Sequence
from typing import Any

from exporter.datastores.base import Operation, Params
from exporter.query import QueryError, Row


class ExtensionParams(Params):
    """In the statement {function} stands for a function of the extension, which is named with its arguments' types."""

    extension: str
    function: str
    sql: str


async def _extension(session: Any, params: ExtensionParams, _state: None) -> Sequence[Row]:
    extension = (await session.extensions()).get(params.extension)
    if extension is None:
        raise QueryError("unsupported", f"extension {params.extension} is not installed")
    rows: Sequence[Row] = await session.given_rows(
        params.sql.replace("{function}", extension.function(params.function))
    )
    return rows


EXTENSION = Operation(_extension, ExtensionParams)
