"""The process: uvicorn with a drain between the signal and the end."""

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

# Nearly all that a poll makes is freed by its count. By default the collector would look at everything several times in
# each 15 s of a thousand targets, stop the loop for a tenth of a second each time, and find nothing.
_GARBAGE = (10_000, 10, 10)

_log = structlog.get_logger("exporter")


class DrainingServer(uvicorn.Server):
    """Keep answering for a while after SIGTERM: uvicorn would close its listener at once.

    Sleep until then: uvicorn would wake ten times a second to see whether to end and to set the Date header, which
    costs more CPU than polling a server every 15 s. The pages bring their own Date.
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
        """Drain on the first SIGTERM; stop at once on Ctrl-C or a crash, without waiting on a second signal."""
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

    SIGHUP is blocked by the caller, and let in when a reload can be done.
    """
    gc.set_threshold(*_GARBAGE)
    log_crashes()
    keep_alive()
    app = create_app(settings, load)
    service: Service = app.state.service
    counts = {name: len(found) for name, found in (("targets", settings.config.targets), ("queries", settings.queries))}
    _log.info("starting", version=__version__, listen=listen, **counts)
    DrainingServer(server_settings(app, listen), service).run()
    keep_alive()  # a thread that never returns does not hold the end up
    _log.info("stopped")
    return 1 if service.crashed else 0


def everywhere() -> list[str]:
    """Return the address of every family that this machine has; two sockets, so that IPv4 clients keep their names."""
    found = []
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - it was asked for
        with suppress(OSError), socket.socket(family) as probe:
            probe.bind((address, 0))
            found.append(address)
    return found


def server_settings(app: FastAPI, listen: str) -> uvicorn.Config:
    """Say how the application is served."""
    host, port = parse_listen(listen)
    context = app.state.web_file.context()
    return uvicorn.Config(
        app,
        host=[host] if host else everywhere(),  # type: ignore[arg-type]  # the loop takes several
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
        log_level="error",  # strangers' bad requests fill no log
        access_log=False,
    )
