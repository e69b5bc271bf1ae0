"""The server process: uvicorn, draining between SIGTERM and its end."""

import asyncio
import gc
import signal
import socket
from contextlib import suppress
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from exporter import __version__
from exporter.config.config import parse_listen
from exporter.polling.watchdog import keep_alive, log_crashes
from exporter.reload import Load
from exporter.service import Service
from exporter.settings import RuntimeConfig
from exporter.web.app import create_app
from exporter.web.protocol import IDLE_SECONDS, BoundedHttpProtocol

# Reference counting frees nearly all that a poll allocates. With the default thresholds and a thousand targets, several
# full collections each 15 s would block the event loop for a tenth of a second each, and free nothing.
_GC_THRESHOLDS = (10_000, 10, 10)

_log = structlog.get_logger("exporter")


class DrainingServer(uvicorn.Server):
    """Drain after SIGTERM: keep answering while load balancers take the process out; uvicorn would close at once.

    The main loop sleeps until the end. That of uvicorn wakes ten times a second to check for an exit and to set the
    Date header, which costs more CPU than polling a server every 15 s; AccessMiddleware sets Date instead.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._end = asyncio.Event()

    async def main_loop(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._service.reloader.request_reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
        await self._end.wait()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Drain on the first SIGTERM; stop on Ctrl-C, a crash or the second SIGTERM; the next signal forces it."""
        loop = asyncio.get_running_loop()
        if self.should_exit:
            self.force_exit = True
        elif sig != signal.SIGTERM or self._service.draining or self._service.crashed:
            self.should_exit = True
            loop.call_soon_threadsafe(self._end.set)
        else:
            self._service.draining = True
            _log.info("draining", seconds=self._service.config.drain)
            loop.call_soon_threadsafe(loop.call_later, self._service.config.drain, self._end.set)


def serve(settings: RuntimeConfig, load: Load, listen: str) -> int:
    """Run until a signal; return the exit code. `load` reads the settings again for a reload.

    The caller has blocked SIGHUP; it is unblocked when a reload is possible.
    """
    gc.set_threshold(*_GC_THRESHOLDS)
    log_crashes()
    keep_alive()
    app = create_app(settings, load)
    service: Service = app.state.service
    counts = {name: len(found) for name, found in (("targets", settings.config.targets), ("queries", settings.queries))}
    _log.info("starting", version=__version__, listen=listen, **counts)
    DrainingServer(server_settings(app, listen), service).run()
    keep_alive()  # also if a thread never returns
    _log.info("stopped")
    return 1 if service.crashed else 0


def everywhere() -> list[str]:
    """Return the wildcard address of each family of this machine; separate sockets keep IPv4 addresses unmapped."""
    found = []
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - the configured default
        with suppress(OSError), socket.socket(family) as probe:
            probe.bind((address, 0))
            found.append(address)
    return found


def server_settings(app: FastAPI, listen: str) -> uvicorn.Config:
    """Return the settings of uvicorn for the application."""
    host, port = parse_listen(listen)
    context = app.state.web_file.context()
    return uvicorn.Config(
        app,
        host=[host] if host else everywhere(),  # type: ignore[arg-type]  # the loop takes a list
        port=port,
        http=BoundedHttpProtocol,
        ws="none",
        loop="exporter.web.event_loop:PatchedUvloop",
        ssl_context_factory=(lambda *_: context) if context else None,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=2,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        log_config=None,
        log_level="error",  # invalid requests must not fill the log
        access_log=False,
    )
