"""The Protocol of the session that PostgreSQL's operations run in; loads no driver."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from exporter.config.stores.postgres import PostgresTarget
from exporter.datastores.caches import PassCache
from exporter.datastores.postgres.extensions import Extension
from exporter.errors import Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import PageSession, States

Record = Any  # a row of asyncpg, which ships no types: values by column or by position


class LoginOutcome(NamedTuple):
    """The seconds that a login and one statement took, and the reason where it was refused."""

    seconds: float
    refused: Reason | None


class OperationSession(PageSession, Protocol):
    """One pass over the connection of a lane, bound to the timeout and the database of one query.

    states: what all operations of the target keep between polls.
    cache: what operations have read once for all queries of the pass.
    seconds: the query's timeout.
    """

    @property
    def target(self) -> PostgresTarget: ...
    @property
    def info(self) -> ServerInfo: ...
    @property
    def states(self) -> States: ...
    @property
    def cache(self) -> PassCache: ...
    @property
    def seconds(self) -> float: ...

    async def read(self, page: str) -> Any:
        """Return a page of Patroni's API, which is read once in a pass."""

    def in_database(self, database: str | None) -> "OperationSession":
        """Return this session bound to another database; None is the URL's."""

    def refusal(self, database: str) -> str | None:
        """Return why a database refused the last login, None where it did not."""

    def is_unknown_to_pooler(self, database: str) -> bool: ...

    async def rows(self, sql: str, *arguments: object) -> Sequence[Record]:
        """Run a statement of the exporter."""

    async def rows_of_relation(self, sql: str, *arguments: object, seconds: float) -> Sequence[Record]:
        """Run a statement about one relation; no rows where that is locked, gone, broken, or too large for the time."""

    async def given_rows(self, sql: str) -> Sequence[Record]:
        """Run a statement that a query file gives an operation: a user's within the bounds of users' statements."""

    async def users_rows(self, sql: str, *arguments: object, most: int) -> Sequence[Record]:
        """Run a statement that a user wrote, or one that reads what a user made, apart from all others."""

    async def extensions(self, *, fresh: bool = False) -> Mapping[str, Extension]:
        """Return the database's extensions by name; `fresh` reads them again."""

    async def log_in(self, seconds: float) -> LoginOutcome:
        """Log in anew, beside the connections that are held."""
