"""The process: uvicorn with a drain between the signal and the end."""

import asyncio
import signal
from collections.abc import Sequence
from types import FrameType

import structlog
import uvicorn

from exporter import __version__
from exporter.app import create_app
from exporter.config import Config, parse_listen
from exporter.query import Query
from exporter.service import Service

_log = structlog.get_logger("exporter")


class _Server(uvicorn.Server):
    """Keep answering for a while after SIGTERM: uvicorn would close its listener at once.

    Sleep until then: uvicorn would wake ten times a second to see whether to end and to set the Date header, which
    costs more CPU than polling a server every 15 s. The pages bring their own Date.
    """

    def __init__(self, config: uvicorn.Config, service: Service, drain: float) -> None:
        super().__init__(config)
        self._service = service
        self._drain = drain
        self._end = asyncio.Event()

    async def main_loop(self) -> None:
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
            _log.info("draining", seconds=self._drain)
            loop.call_soon_threadsafe(loop.call_later, self._drain, self._end.set)


def serve(config: Config, queries: Sequence[Query], listen: str) -> int:
    """Run until a signal; return the exit code."""
    host, port = parse_listen(listen)
    app = create_app(config, queries)
    service: Service = app.state.service
    settings = uvicorn.Config(
        app,
        host=host,
        port=port,
        http="httptools",
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    _log.info("starting", version=__version__, listen=listen, targets=len(config.targets), queries=len(queries))
    _Server(settings, service, config.drain).run()
    _log.info("stopped")
    return 1 if service.crashed else 0
