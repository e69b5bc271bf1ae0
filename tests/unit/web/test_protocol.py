"""The limits of a connection, on real sockets, with shortened times."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.routing import Route

from exporter.web import event_loop, middleware, protocol, server
from tests.support.served_app import ServedApp, certificate, read_all, trusting, wait_until

REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
BIG = b"0123456789abcdef" * 2_000_000


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedApp]:
    with ServedApp(tmp_path) as made:
        made.app.router.routes.append(Route("/big", lambda _: Response(BIG)))
        made.app.router.routes.append(Route("/medium", lambda _: Response(BIG[:30_000])))
        yield made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give clients half a second for everything."""
    for name in ("REQUEST_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(protocol, name, 0.5)
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(event_loop, "REQUEST_SECONDS", 0.5)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 5_000_000, 431),
        (b"GET /livez HTTP/1.1\r\n" + b"X: a\r\n" * 200_000, 431),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"\r\n" * 200_000, 431),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n" + b"a" * 5_000_000, 413),
        (b"GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4c4b40\r\n" + b"a" * 5_000_000, 413),
        (b"GET /livez HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200),
        (b"GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 413),
        (b"POST /livez HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 405),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET /livez HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
    ],
)
def test_invalid_requests_are_rejected(served: ServedApp, request_: bytes, status: int) -> None:
    """With a status and its phrase, no version, and a closed connection; the next client is served."""
    with served.connect() as client:
        sender = ThreadPoolExecutor(1).submit(_send, client, request_)
        answer = read_all(client)
    sender.result(20)
    head, _, body = answer.partition(b"\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert len(body) < 40
    assert b"server:" not in head.lower()
    assert served.get().status == 200
    wait_until(lambda: served.connections == 0)


def _send(client: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        client.sendall(data)


def test_pipelined_requests_are_limited(served: ServedApp) -> None:
    """A few are answered in turn; too many close the connection."""
    assert served.exchange((REQUEST + b"\r\n") * 3 + REQUEST + b"Connection: close\r\n\r\n").count(b"200 OK") == 4
    assert served.exchange((REQUEST + b"\r\n") * 5000).count(b"200 OK") < 10


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("sent", [b"", REQUEST, b"GET", REQUEST + b"\r\n", REQUEST + b"\r\n\r\nGET"])
def test_slow_request_is_aborted(served: ServedApp, sent: bytes) -> None:
    """Whether it stops before, within, after or between requests."""
    answer = served.exchange(sent)

    assert answer.count(b"200 OK") == sent.count(b"\r\n\r\n")
    wait_until(lambda: served.connections == 0)


@pytest.mark.usefixtures("hasty")
def test_slow_second_request_is_aborted(served: ServedApp) -> None:
    """It has as long as the first, counted from its first byte."""
    for second in (b"GET", b"\r\n"):
        with served.connect() as client:
            client.sendall(REQUEST + b"\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
            client.sendall(second)

            assert read_all(client) == b""
    wait_until(lambda: served.connections == 0)


@pytest.mark.usefixtures("hasty")
def test_request_of_single_bytes_is_aborted(served: ServedApp) -> None:
    """The deadline is for the complete request, not for the next byte."""
    with served.connect() as client:
        client.settimeout(0.05)
        sent = 0
        while sent < 400:
            try:
                client.sendall(b"a" if sent else REQUEST + b"X: ")
                sent += 1
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break

    assert sent < 100


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_client_that_does_not_read_is_aborted(served: ServedApp, close: bytes) -> None:
    """However large the response is, and whatever is still in the buffers."""
    with served.connect() as client:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n" + close + b"\r\n")
        wait_until(lambda: served.connections == 1)
        wait_until(lambda: served.connections == 0)

        assert len(read_all(client)) < len(BIG)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_unread_end_of_a_response_is_dropped(served: ServedApp, close: bytes) -> None:
    """Answers that are done, for us, and lie in a buffer for a client that reads nothing."""
    ask = b"GET /medium HTTP/1.1\r\nHost: x\r\n"
    with served.connect() as client:
        while not served.unsent:
            done = served.answered
            client.sendall(ask + b"\r\n")
            wait_until(lambda done=done: served.answered > done)
        client.sendall(ask + close + b"\r\n")

        wait_until(lambda: served.connections == 0)


def test_large_response_arrives_complete(served: ServedApp) -> None:
    """Also if it is sent in slices."""
    answer = served.get("/big")

    assert (answer.status, answer.headers["content-length"]) == (200, str(len(BIG)))
    assert answer.body == BIG


def test_slow_readers_leave_room_for_probes(served: ServedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are refused with a time to come back; probes are answered; then all is as before."""
    monkeypatch.setattr(middleware, "MAX_CONCURRENT", 3)
    clients = [served.connect() for _ in range(3)]
    for client in clients:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: served.get("/metrics").status == 503)
    refused = served.get("/metrics")

    assert (refused.headers["retry-after"], refused.body) == ("1", b"service unavailable\n")
    assert [served.get(path).status for path in ("/livez", "/startupz")] == [200, 200]

    for client in clients:
        client.close()
    wait_until(lambda: served.get("/metrics").status == 200)


def test_longest_idle_connection_is_evicted(served: ServedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit only; below it, hundreds are kept and delay no other client."""
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 300)
    clients = [served.connect() for _ in range(500)]
    wait_until(lambda: served.connections == 500)
    for _ in range(20):
        assert served.get("/livez").status == 200
    assert served.connections >= 500

    monkeypatch.setattr(protocol, "CONNECTIONS", 500)
    crowd = [served.connect() for _ in range(200)]
    wait_until(lambda: served.connections == 500)
    assert served.get("/livez").status == 200
    clients[0].settimeout(20)
    assert read_all(clients[0]) == b""
    clients[-1].sendall(REQUEST + b"\r\n")
    assert clients[-1].recv(100).startswith(b"HTTP/1.1 200 OK")

    for client in clients + crowd:
        client.close()


def test_eviction_hits_the_client_with_most_connections(served: ServedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was there first, and idle for longest, stays; it is the crowd that makes room."""
    monkeypatch.setattr(protocol, "CONNECTIONS", 50)
    first = served.connect()
    wait_until(lambda: served.connections == 1)
    crowd = [served.connect("127.0.0.2") for _ in range(100)]
    wait_until(lambda: served.connections == 50)
    first.sendall(REQUEST + b"\r\n")
    assert first.recv(100).startswith(b"HTTP/1.1 200 OK")

    for client in [first, *crowd]:
        client.close()


@pytest.mark.usefixtures("hasty")
def test_tls_handshake_has_a_deadline(tmp_path: Path) -> None:
    """A shorter one than the default; also for a client that sends no TLS at all."""
    certificate(tmp_path)
    with ServedApp(tmp_path, "tls_server_config: {cert_file: server.crt, key_file: server.key}\n") as served:
        assert served.exchange(b"") == b""
        assert served.get(tls=trusting()).status == 200
        with trusting().wrap_socket(served.connect(), server_hostname="127.0.0.1") as slow:
            slow.sendall(REQUEST)
            with suppress(ssl.SSLError):  # an end without goodbye
                assert slow.recv(10) == b""
