"""Real servers from package registries, for tests, benchmarks and the demo.

Each kind is a class in its own module, of one shape, `Server`; its data goes when it is closed.
"""

from typing import Protocol, Self


class Unavailable(Exception):  # noqa: N818 - a missing server is a fact with a reason, not an error
    """Say why a server cannot be had on this machine."""


class Server(Protocol):
    """A server that can be started, stopped, frozen and put into the exporter's configuration."""

    def start(self) -> Self: ...
    def stop(self) -> None: ...
    def restart(self) -> Self: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...
    def close(self) -> None: ...

    def target(self, name: str, **extra: object) -> dict[str, object]:
        """Return the server's entry for `targets:` of the exporter's configuration."""
        ...
