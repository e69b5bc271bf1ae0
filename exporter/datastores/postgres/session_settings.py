"""Settings of our sessions, so that no owner of a database or a role can change the results of a statement.

ALTER DATABASE ... SET, which needs no more than to own a database, reaches every session there, and so do ALTER ROLE
and a login trigger. A search path above all: with it, a function or an operator of another user would be
called in the place of one of PostgreSQL's. So all of it is set after the login, the search path first.

Left as they are: what only a superuser may set; what costs time alone, which the deadlines end (enable_*, *_cost,
work_mem, parallel workers); what only writing needs (default_tablespace, synchronous_commit ...); lc_*, xml* and other
formats that no statement of ours uses; client_encoding, which the driver sends itself.
"""

from collections.abc import Mapping
from typing import Any

from exporter.datastores.keepalive import IDLE_SECONDS, INTERVAL_SECONDS, PROBES

NAME: Mapping[str, str] = {"application_name": "datatier-exporter"}
# Read-only is not among these: a login trigger may have to record logins, as PostgreSQL's manual shows.
AT_LOGIN: Mapping[str, str] = {
    **NAME,
    # Below deadlock_timeout: a wait for a lock ends before the server looks for deadlocks or logs the wait.
    "lock_timeout": "250ms",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
    "TimeZone": "UTC",
    # A hot standby refuses every statement of a serializable transaction, a login trigger's, too.
    "default_transaction_isolation": "read committed",
    # Without these a server would keep connections of a lost exporter, against the role's limit, for two hours.
    "tcp_keepalives_idle": f"{IDLE_SECONDS}s",
    "tcp_keepalives_interval": f"{INTERVAL_SECONDS}s",
    "tcp_keepalives_count": str(PROBES),
}
_ALWAYS: Mapping[str, str] = {
    **AT_LOGIN,
    "role": "none",  # the one that logged in, whose grants are known
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "off",
    # These would end a session without a fault of its own.
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "tcp_user_timeout": "0",
    "exit_on_error": "off",
    "client_min_messages": "warning",
}
# pg_temp is named, and last, as it would come first otherwise.
SEARCH_PATH = "pg_catalog, pg_temp"
_OURS: Mapping[str, str] = {
    # How a statement is read.
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "row_security": "on",
    "stats_fetch_consistency": "cache",
    # How values become texts.
    "quote_all_identifiers": "off",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
_SINCE: Mapping[str, int] = {"idle_session_timeout": 14, "stats_fetch_consistency": 15, "transaction_timeout": 17}


def statement_timeout(seconds: float) -> str:
    """Return the setting by which the server ends a statement a little before the caller's deadline."""
    return f"{seconds * 900:.0f}ms"


def at_login(seconds: float) -> Mapping[str, str]:
    """Return the settings of the startup packet."""
    return {**AT_LOGIN, "statement_timeout": statement_timeout(seconds)}


def ours(connection: Any, seconds: float, check: str, *, local: bool = False) -> str:
    """Return the commands before statements of our own: settings for the session or the transaction, then a check."""
    return f"{_path(local, SEARCH_PATH)}; {_set(connection, {**_ALWAYS, **_OURS}, seconds, local)}; {check}"


def users_own(connection: Any, seconds: float, check: str, *, local: bool = False) -> str:
    """Return the commands before statements of users: the search path and formats stay those of the database."""
    settings = _set(connection, _ALWAYS, seconds, local)
    return f"{_path(local, SEARCH_PATH)}; {settings}; {check}; {_path(local, 'DEFAULT')}"


def _path(local: bool, path: str) -> str:  # noqa: FBT001
    """Return a command, which unlike an expression depends on no search path."""
    return f"SET {'LOCAL ' if local else ''}search_path TO {path}"


def _set(connection: Any, settings: Mapping[str, str], seconds: float, local: bool) -> str:  # noqa: FBT001
    """Return one statement for all: pg_stat_statements would keep each SET apart."""
    version = connection.get_server_version().major
    wanted = {**settings, "statement_timeout": statement_timeout(seconds)}
    known = [name for name in wanted if version >= _SINCE.get(name, 0)]
    return "SELECT " + ", ".join(f"set_config('{name}', '{wanted[name]}', {local})" for name in known)
