"""A store's descriptor: what the rest of the exporter knows of a store without importing its package."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exporter.config.targets import TargetBase


def one_url(_: Mapping[str, str], text: str) -> Sequence[str]:
    """Return the URL itself, where there is one."""
    return [text] if text else []


@dataclass(frozen=True, slots=True)
class Store:
    """Describe a store.

    package: has the modules `datastore`, with open_datastore(target), and `operations`, with OPERATIONS by name.
    target: the model of what users configure; its `store` is the name.
    variables: the environment variables that give each setting of a target, the strongest first; `url` has one.
        Without any, targets are in files alone.
    up: the metric that equals datatier_up.
    prefixes: how the names of its metrics begin.
    dashboard: its dashboard and its file of alert rules, which stores may share; None without.
    database_label: the label that `scope: database` adds; None where there is no such scope.
    keeps_sessions: a session stays open when the password changes.
    locks_users: a query may log in anew, and a few refused logins lock the user out.
    port: the default port of its URLs; http:// and https:// have their own.
    urls(environment, text): the URLs that the variables of `url` hold; there may be several in one.
    address_variable: one more variable for `url`, with an address that `urls` completes.
    """

    name: str
    package: str
    target: type[TargetBase]
    variables: Mapping[str, tuple[str, ...]]
    up: str
    prefixes: tuple[str, ...]
    dashboard: str | None = None
    database_label: str | None = None
    keeps_sessions: bool = False
    locks_users: bool = False
    port: int = 0
    urls: Callable[[Mapping[str, str], str], Sequence[str]] = one_url
    address_variable: str = ""
