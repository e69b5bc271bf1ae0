"""Whatever bytes come: an answer that is documented, or none; never a fault of ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzz import examples
from tests.support.served_app import ServedApp

METHODS = [b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"PRI", b"CONNECT", b"TRACE", b"get", b"G\x00T", b""]
PATHS = [
    b"/", b"/targets/orders", b"/metrics", b"/probe?target=orders", b"/sd", b"/findings", b"/livez?verbose",
    b"/startupz", b"/readyz", b"/health?exclude=%00", b"/health/groups/write", b"/health/targets/orders?max_lag=1s",
    b"/-/reload", b"*", b"http://x/health", b"//", b"",
]  # fmt: skip
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1.1 x", b"http/1.1", b""]
LINES = [
    b"Host: x", b"Host: \xff\xfe", b"Host: a\r\nHost: b", b"Accept: \xe9" + b"a" * 300, b"Connection: close",
    b"Connection: upgrade\r\nUpgrade: websocket", b"Upgrade: h2c",
    b"Expect: 100-continue", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, gzip", b"Content-Length: 0",
    b"Content-Length: 5", b"Content-Length: -1",
    b"Content-Length: " + b"9" * 30, b"Content-Length: 0\r\nContent-Length: 1", b"Authorization: Basic \xff",
    b"Authorization: Basic " + b"A" * 9000, b"Accept-Encoding: gzip;q=x", b"Accept: */*;q=1;q=2,,,;", b": x", b"x",
    b" folded", b"X: " + b"y" * 70_000, b"\x00: \x00", b"A:\tb\x0bc",
]  # fmt: skip
BODIES = [b"", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"hello", b"\x16\x03\x01\x02\x00", b"\r\n\r\n"]
well_formed = st.tuples(
    st.sampled_from(METHODS) | st.binary(max_size=5),
    st.sampled_from(PATHS) | st.binary(max_size=20).map(lambda path: b"/" + path),
    st.sampled_from(VERSIONS),
    st.lists(st.sampled_from(LINES) | st.binary(max_size=30), max_size=4),
    st.sampled_from(BODIES) | st.binary(max_size=20),
).map(lambda r: b" ".join(r[:3]) + b"\r\n" + b"".join(line + b"\r\n" for line in r[3]) + b"\r\n" + r[4])


@pytest.fixture(scope="module")
def served_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    folder: Path = tmp_path_factory.mktemp("app")
    with ServedApp(folder, "http_server_config: {headers: {X-Frame-Options: deny}}", token="hunter22") as made:
        yield made


@examples(150)
@given(requests=st.lists(well_formed | st.binary(max_size=200), min_size=1, max_size=3))
def test_any_bytes_are_answered_or_cut(served_app: ServedApp, faults: list[object], requests: list[bytes]) -> None:
    """One after another on one connection; the next client is served as ever."""
    with served_app.connect() as client:
        client.settimeout(0.05)
        answer = b""
        try:
            for request in requests:
                client.sendall(request)
                answer += client.recv(65536)
        except OSError:  # it waits for more, or has closed
            pass

    statuses = {line.split(b" ")[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")}
    assert statuses <= {b"100", b"200", b"400", b"401", b"403", b"404", b"405", b"413", b"431", b"503"}
    assert bool(answer) == bool(statuses)
    assert b"Traceback" not in answer
    assert b"hunter22" not in answer
    assert not faults
    assert served_app.get("/livez").status == 200
