"""The pages as clients meet them: on a real socket, with a web file of the test's own."""

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple, Self

import trustme
import uvicorn

from exporter.config.config import Config
from exporter.settings import RuntimeConfig
from exporter.web.app import create_app
from exporter.web.protocol import BoundedHttpProtocol
from exporter.web.server import server_settings
from testkit.process import free_port

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class ServedApp:
    """Serve in a thread, in this process; the one target is at a port where no server listens."""

    def __init__(self, folder: Path, web_file: str | None = None, **web: Any) -> None:
        self.folder = folder
        self.web_file = folder / "web.yml"
        if web_file is not None:
            self.web_file.write_text(web_file)
            web["config_file"] = self.web_file
        self.port = free_port()
        url = f"postgresql://u@127.0.0.1:{free_port()}/db"
        settings = {"targets": [{"name": "orders", "store": "postgres", "url": url}], "web": web}
        self.app = create_app(RuntimeConfig(Config.model_validate(settings)))
        self._server = uvicorn.Server(server_settings(self.app, f"127.0.0.1:{self.port}"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    @property
    def answered(self) -> int:
        return self._server.server_state.total_requests

    @property
    def unsent(self) -> int:
        """Return how many bytes of answers lie in this process."""
        connections = [
            found for found in self._server.server_state.connections if isinstance(found, BoundedHttpProtocol)
        ]
        return sum(connection.transport.get_write_buffer_size() for connection in connections)

    def get(
        self, path: str = "/livez", tls: ssl.SSLContext | None = None, method: str = "GET", **headers: str
    ) -> Answer:
        connection = (
            HTTPSConnection("127.0.0.1", self.port, timeout=20, context=tls)
            if tls
            else HTTPConnection("127.0.0.1", self.port, timeout=20)
        )
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=(source, 0))

    def exchange(self, request: bytes) -> bytes:
        """Send bytes and return all that comes until the server closes."""
        with self.connect() as client:
            client.sendall(request)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """Read until the other side ends the connection, one way or the other."""
    found = b""
    try:
        while some := client.recv(65536):
            found += some
    except ConnectionResetError:
        pass
    return found


def wait_until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


def certificate(folder: Path, *names: str, authority: trustme.CA = AUTHORITY, stem: str = "server") -> None:
    """Write a certificate, its chain and its key as <stem>.crt and <stem>.key."""
    made = authority.issue_cert(*names or ("127.0.0.1",))
    (folder / f"{stem}.crt").write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(folder / f"{stem}.key"))


def trusting(client_names: tuple[str, ...] = (), authority: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    """Return a client's context that trusts our authority, with a certificate of its own where it has names."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    if client_names:
        authority.issue_cert(*client_names).configure_cert(context)
    return context
