"""The web file, read again when it or a certificate has changed; a broken one changes nothing."""

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import structlog

from exporter.config.files import Stamp, stamp
from exporter.config.server_tls import ReloadingServerContext, TlsError, certificate_not_after, server_context
from exporter.config.web_config import WebConfig, read_web_config
from exporter.errors import ConfigError

LOOK_EVERY = 1.0

_log = structlog.get_logger("exporter")


class Loaded(NamedTuple):
    config: WebConfig = WebConfig()
    context: ssl.SSLContext | None = None
    not_after: float | None = None


class WebFile:
    """Hold the content of the file, an empty one without a file; `changed` is called after each time it is read."""

    def __init__(self, path: Path | None, changed: Callable[[Loaded], None] = lambda _: None) -> None:
        self._path = path
        self._changed = changed
        self._seen: dict[Path, Stamp | None] = {}
        self._looked_at = time.monotonic()
        self._loaded = self._load(path) if path else Loaded()
        changed(self._loaded)

    @property
    def loaded(self) -> Loaded:
        """Return the present content; the files are checked once a second at most."""
        now = time.monotonic()
        if self._path is not None and now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            if self._seen != {file: _stamp(file) for file in self._seen}:
                self._reload(self._path)
        return self._loaded

    @property
    def config(self) -> WebConfig:
        return self.loaded.config

    def context(self) -> ssl.SSLContext | None:
        """Return a context for the lifetime of the process, None for plain HTTP."""
        return ReloadingServerContext(self._present) if self._loaded.context else None

    def _present(self) -> ssl.SSLContext:
        context = self.loaded.context
        assert context is not None  # noqa: S101 - a reload that would end TLS is refused
        return context

    def _reload(self, path: Path) -> None:
        try:
            loaded = self._load(path)
        except ConfigError as error:
            problems = error.problems
        else:
            problems = [f"{path}: {problem}" for problem in _weakened(self._loaded, loaded)]
        if problems:
            _log.error("web file not taken over, the last good one stays", error="; ".join(problems))
            return
        self._loaded = loaded
        self._changed(loaded)
        _log.info("web file read again", file=str(path))

    def _load(self, path: Path) -> Loaded:
        self._seen[path] = _stamp(path)  # before it is read: a change meanwhile is read, too
        config, document = read_web_config(path)
        tls = config.tls_server_config
        self._seen = {file: _stamp(file) for file in tls.files.values()} | {path: self._seen[path]}
        if not tls.enabled:
            return Loaded(config)
        try:
            return Loaded(config, server_context(tls), certificate_not_after(tls))
        except TlsError as error:
            raise ConfigError([document.error_at(("tls_server_config", error.key), str(error))]) from None


def _weakened(before: Loaded, after: Loaded) -> Iterator[str]:
    """Yield what a file that is half written, or empty by mistake, must not switch off."""
    if (before.context is None) != (after.context is None):
        yield "tls_server_config: TLS begins and ends only with a restart"
    if before.config.basic_auth_users and not after.config.basic_auth_users:
        yield "basic_auth_users: the last user goes only with a restart"


def _stamp(file: Path) -> Stamp | None:
    try:
        return stamp(file)
    except OSError:
        return None
