"""Statements that call an extension's functions, which lie in a schema that only the server knows."""

from collections.abc import Sequence
from typing import Any

from exporter.datastores.base import Operation, Params
from exporter.query import QueryError, Row


class ExtensionParams(Params):
    """In the statement {schema} stands for the schema of the extension."""

    extension: str
    sql: str


async def _extension(session: Any, params: ExtensionParams, _state: None) -> Sequence[Row]:
    extension = (await session.extensions()).get(params.extension)
    if extension is None:
        raise QueryError("unsupported", f"extension {params.extension} is not installed")
    rows: Sequence[Row] = await session.rows(params.sql.replace("{schema}", extension.schema))
    return rows


EXTENSION = Operation(_extension, ExtensionParams)
