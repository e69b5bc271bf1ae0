"""What somebody who means harm plants in a database: for all that our statements use, what tells when it runs.

Each planted function writes a line to the server's log, which no transaction that is read-only or rolled back undoes.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.settings import read_queries
from testkit.postgres import Postgres
from tests.support.paths import ROOT

HERE = Path(__file__).parent
SOURCES = ROOT / "exporter/datastores/postgres"
MARK = "planted code ran"
# What the grammar calls by other names, and what LIKE, IN, BETWEEN and CASE compare by.
_BY_GRAMMAR = {"extract", "date_part", "substring", "timezone", "unnest", "position", "btrim", "like", "set_config"}
_BY_GRAMMAR |= {"pg_is_in_recovery", "current_setting", "generate_series"}
_OPERATORS = {"=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "!~"}
HOSTILE_SETTINGS = {
    "search_path": "public, pg_catalog",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "DateStyle": "German",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kolkata",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "row_security": "off",
    "exit_on_error": "on",
    "client_min_messages": "debug1",
    "idle_session_timeout": "5s",
    "lock_timeout": "1d",
    "jit": "on",
    "enable_hashjoin": "off",
    "role": "pg_monitor",
}


def texts() -> Iterator[str]:
    """Yield every statement of ours, and other texts of the modules that hold them."""
    for query in read_queries(["postgres"]):
        yield from query.query.values() if isinstance(query.query, dict) else [query.query or ""]
        yield str(getattr(query.params, "sql", ""))
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def called() -> set[str]:
    """Name what stands before a parenthesis somewhere."""
    return {name for text in texts() for name in re.findall(r"\b([a-z_][a-z0-9_]*)\s*\(", text)} | _BY_GRAMMAR


def operators() -> set[str]:
    return {found for text in texts() for found in re.findall(r"[-+*/<>=~!@#%^&|]+", text)} | _OPERATORS


def words() -> set[str]:
    return {word for text in texts() for word in re.findall(r"[a-z_][a-z0-9_]*", text)}


def make_table(server: Postgres, database: str, user: str) -> None:
    """Make a table and a view that call their owner's functions when they are read."""
    server.psql(f"SET SESSION AUTHORIZATION {user};\n{(HERE / 'planted_table.sql').read_text()}", database)


def plant(server: Postgres, database: str, user: str) -> list[int]:
    """Plant all else as a user who may create objects in public; return how many of each kind there are."""
    lists = {"functions": called(), "operators": operators(), "words": words()}
    variables = "".join(f"\\set {name} '{_array(items)}'\n" for name, items in lists.items())
    sql = f"{variables}SET SESSION AUTHORIZATION {user};\n{(HERE / 'planted.sql').read_text()}"
    return [int(n or 0) for (n,) in server.psql(sql, database)]


def bend(server: Postgres, database: str, user: str) -> None:
    """Set, as the owner of a database, what changes an answer there."""
    written = {name: value if name == "search_path" else f"'{value}'" for name, value in HOSTILE_SETTINGS.items()}
    changes = "".join(f"ALTER DATABASE {database} SET {name} = {value};\n" for name, value in written.items())
    server.psql(f"SET SESSION AUTHORIZATION {user};\n{changes}")


def ran(server: Postgres, user: str = "monitor") -> list[str]:
    """Return what ran as a user; the lines of the log begin with it."""
    lines = server.log.read_text(errors="replace").splitlines()
    return [line for line in lines if line.startswith(f"{user} ") and MARK in line]


def _array(items: set[str]) -> str:
    quoted = ",".join('"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in sorted(items))
    return "{" + quoted.replace("'", "''") + "}"
