"""What is known of a store without its package."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exporter.config.targets import TargetBase


def one_url(_: Mapping[str, str], text: str) -> Sequence[str]:
    """Return the URL of a variable, if it is set."""
    return [text] if text else []


@dataclass(frozen=True, slots=True)
class Store:
    """Describe a store.

    package: has the modules `datastore`, with open_datastore(target), and `operations`, with OPERATIONS by name.
    target: the model of what users configure; its `store` is the name.
    variables: each setting of a target by the environment variables that give it, the strongest first.
    urls(environment, text): the URLs that the variables of `url` name; there may be several in one.
    address_variable: one more for `url`, with an address that `urls` makes a URL of.
    up: the metric that equals datatier_up.
    prefixes: how the names of its metrics begin.
    database_label: the label that `scope: database` adds; None where there is no such scope.
    page: the dashboard and the alert rules that it has, or shares.
    """

    name: str
    package: str
    target: type[TargetBase]
    variables: Mapping[str, tuple[str, ...]]
    up: str
    prefixes: tuple[str, ...]
    page: str
    database_label: str | None = None
    urls: Callable[[Mapping[str, str], str], Sequence[str]] = one_url
    address_variable: str = ""
