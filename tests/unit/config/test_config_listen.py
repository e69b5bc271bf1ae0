"""The address that the exporter listens on."""

import pytest

from exporter.config.config import parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:9187", ("0.0.0.0", 9187)),
        (":9187", ("", 9187)),
        ("*:9187", ("", 9187)),
        ("[::]:9187", ("", 9187)),
        (":::9187", ("", 9187)),
        ("[::1]:9187", ("::1", 9187)),
        ("localhost:0", ("localhost", 0)),
        ("db.example:65535", ("db.example", 65535)),
    ],
)
def test_listen(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["", "9187", "host:", "host:http", "host:65536", "host:-1", "host:\u00b2"])
def test_listen_needs_a_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address such as 0\.0\.0\.0:9187"):
        parse_listen(text)
