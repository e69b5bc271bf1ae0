"""The descriptor of Neo4j, and how its targets are configured."""

from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from exporter.config.backup_policy import Format
from exporter.config.stores.store import Store
from exporter.config.targets import Globs, TargetBase


class Neo4jTarget(TargetBase):
    store: Literal["neo4j"]
    user: str = "neo4j"
    password: SecretStr | None = None
    password_file: Path | None = None
    databases: Globs = Globs()

    backup_formats: ClassVar[tuple[Format, ...]] = ("neo4j",)
    url_parts = ("query",)
    url_advice = "write scheme, host and port alone; user, password and databases are keys of their own"

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")

    @classmethod
    def check_url(cls, text: str) -> None:
        super().check_url(text)
        if problem := _routing_problem(text):
            raise ValueError(problem)


def _routing_problem(text: str) -> str | None:
    """Return the problem of the routing context in a Neo4j URL's query, which the driver would reject later."""
    query = urlsplit(text).query
    if query and text.startswith("bolt"):
        return "the query of the URL is for routing, which only neo4j:// does"
    try:
        names = [name for name, value in parse_qsl(query, keep_blank_values=True, strict_parsing=True) if value]
    except ValueError:
        names = []
    if query and (len(names) != len(query.split("&")) or len(set(names)) != len(names) or "address" in names):
        return "the query of the URL is a routing context: name=value, each name once and none of them address"
    return None


STORE = Store(
    name="neo4j",
    package="exporter.datastores.neo4j",
    target=Neo4jTarget,
    variables={
        "url": ("NEO4J_URL", "NEO4J_URI"),
        "user": ("NEO4J_USER", "NEO4J_USERNAME"),
        "password": ("NEO4J_PASSWORD",),
        "password_file": ("NEO4J_PASSWORD_FILE",),
    },
    up="neo4j_up",
    prefixes=("neo4j_",),
    dashboard="neo4j",
    database_label="db",
    locks_users=True,
    port=7687,
)
