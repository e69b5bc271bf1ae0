"""Where a client found us, as its proxy tells."""

import pytest
from pydantic import ValidationError
from starlette.requests import Request

from exporter.config import Web
from exporter.forwarded import Place, place

WEB = Web.model_validate({"trusted_proxies": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"]})
DIRECT = Place("http", "exporter:9187")


def found(peer: str, **forwarded: str) -> Place:
    headers = [(b"host", b"exporter:9187")]
    headers += [(f"x-forwarded-{name}".encode(), value.encode()) for name, value in forwarded.items()]
    scope = {"type": "http", "scheme": "http", "path": "/sd", "query_string": b"", "server": ("exporter", 9187)}
    return place(Request({**scope, "headers": headers, "client": (peer, 1)}), WEB.trusted_proxies)


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "192.0.2.7"])
def test_a_trusted_proxy_is_believed(peer: str) -> None:
    told = found(peer, proto="https", host="mon.example.com", prefix="/datatier/")

    assert told == Place("https", "mon.example.com", "/datatier")


@pytest.mark.parametrize("peer", ["192.0.2.8", "::ffff:192.0.2.8", "2001:db8::1", "testclient", ""])
def test_nobody_else_is(peer: str) -> None:
    assert found(peer, proto="https", host="evil.example", prefix="/evil") == DIRECT


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ({}, DIRECT),
        ({"host": "mon:8443", "port": "1"}, Place("http", "mon:8443")),
        ({"host": "mon", "port": "8443", "proto": "https"}, Place("https", "mon:8443")),
        ({"host": "[2001:db8::1]", "port": "8443"}, Place("http", "[2001:db8::1]:8443")),
        ({"host": "client.says, mon", "prefix": "/client, /a/b"}, Place("http", "mon", "/a/b")),
        ({"host": "a b", "proto": "gopher", "port": "x", "prefix": "no-path"}, DIRECT),
        ({"host": "a/b", "prefix": "//evil.example"}, DIRECT),
        ({"host": "", "proto": "", "port": "", "prefix": ""}, DIRECT),
        ({"prefix": "/"}, DIRECT),
        ({"host": "mon", "port": "123456"}, Place("http", "mon")),
    ],
)
def test_what_the_nearest_proxy_says(forwarded: dict[str, str], expected: Place) -> None:
    """And of that, what can be an address."""
    assert found("10.0.0.1", **forwarded) == expected


@pytest.mark.parametrize("network", ["10.0.0.1/8", "proxy.example", "", 7.5])
def test_a_proxy_is_named_by_its_network(network: object) -> None:
    with pytest.raises(ValidationError, match="trusted_proxies"):
        Web.model_validate({"trusted_proxies": [network]})
