"""The exporter as users run it: a process of its own with a configuration file."""

import http.client
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGINT

import yaml

from deploy.demo import REPOSITORY
from testkit import Unavailable
from testkit.process import Process

HOST = "127.0.0.1"
_PORTS = range(9187, 9287)


class Exporter(Process):
    """The exporter on the next free port from 9187, polling every 5 s so that there is something to see."""

    as_ourselves = True
    stop_signal = SIGINT  # at once; SIGTERM would go on answering for a while

    def __init__(self, targets: Sequence[Mapping[str, object]]) -> None:
        super().__init__("demo")
        self.port = _next_free_port()
        listen = f"{HOST}:{self.port}"
        settings = {"listen": listen, "poll": {"interval": "5s"}, "targets": [dict(target) for target in targets]}
        self.configuration: str = yaml.safe_dump(settings, sort_keys=False)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def file(self) -> Path:
        return self.folder / "datatier.yaml"

    def _prepare(self) -> None:
        self.file.write_text(self.configuration)

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "exporter", "--config", str(self.file)]

    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=1)
        try:
            connection.request("GET", "/startupz")
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()


def _next_free_port() -> int:
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last demo's closed connections linger
            probe.bind((HOST, port))
            return port
    raise Unavailable(f"no port is free from {_PORTS.start} to {_PORTS.stop - 1}")
