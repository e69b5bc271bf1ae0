"""What a document of an S3 server says is read with suspicion."""

import time

import pytest

from exporter.datastores.s3.response import read_xml

BOMB = b'<!DOCTYPE Error [<!ENTITY a "Access"><!ENTITY b "&a;&a;">]><Error><Code>&b;Denied</Code></Error>'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'<?xml version="1.0"?>\n<Error><Code>NoSuchBucket</Code></Error>', "NoSuchBucket"),
        (b'<e:Error xmlns:e="urn:s3"><e:Code>Slow<!-- -->Down</e:Code></e:Error>', "SlowDown"),
        (b"<Error><Detail><Code>Hidden</Code></Detail></Error>", None),
        (BOMB, None),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><Error><Code>A</Code></Error>', None),
        (b"<Error><Code>NoEnd", None),
        (b"<a>" * 10_000, None),
        (b"\xff\xfe\x00", None),
        (b"", None),
    ],
)
def test_error_code_is_read_without_dtd_entity_or_file(body: bytes, code: str | None) -> None:
    """What an error says is read without any DTD, entity or file."""
    page = read_xml(body)

    assert (page.fields.get("Code") if page else None) == code


def test_entities_are_not_expanded() -> None:
    """As far as expat lets them grow, they would take 8 MB and ten milliseconds of the event loop in each document."""
    bomb = b'<!DOCTYPE a [<!ENTITY x "' + b"x" * 30_000 + b'">]><a><b>' + b"&x;" * 9_000 + b"</b></a>"
    began = time.process_time()
    pages = [read_xml(bomb) for _ in range(30)]

    assert pages == [None] * 30
    assert time.process_time() - began < 0.1
