"""A page of a listing is read as S3 servers write it, and nothing else is."""

import time

import pytest

from exporter.datastores.s3.listing import ListedObject, Listing, listing_query, read_listing

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


def contents(key: str, size: str = "5", modified: str = "2026-11-30T02:14:00.000Z") -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>&quot;x&quot;</ETag><Size>{size}</Size>"
        "<Owner><ID>1</ID><DisplayName>Key</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>"
    )


def page(*parts: str, encoding: str = "<EncodingType>url</EncodingType>") -> bytes:
    return f"{HEAD}<IsTruncated>false</IsTruncated>{''.join(parts)}{encoding}</ListBucketResult>".encode()


def test_listing_is_read() -> None:
    """Names are decoded as those of a form, wherever the page says that they are encoded."""
    folder = "<CommonPrefixes><Prefix>a%2Bb+c/</Prefix></CommonPrefixes>"
    truncated = "<IsTruncated>true</IsTruncated><NextContinuationToken>to%2Bken=</NextContinuationToken>"
    found = read_listing(page(contents("new%0Aline%FF"), contents("100%25", "0"), folder, truncated))

    assert found == Listing(
        [ListedObject("new\nline\udcff", 5, 1796004840.0), ListedObject("100%", 0, 1796004840.0)],
        ["a+b c/"],
        truncated=True,
        token="to%2Bken=",
    )


def test_listing_of_a_server_that_encodes_no_names_is_read() -> None:
    """Such a page does not say that names are encoded."""
    found = read_listing(page(contents("100%25+1&amp;"), encoding=""))

    assert found is not None
    assert [one.key for one in found.objects] == ["100%25+1&"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Sign in</body></html>",
        b"<Error><Code>AccessDenied</Code></Error>",
        b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>',
        b"<ListBucketResult></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>perhaps</IsTruncated></ListBucketResult>",
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + page(contents("&a;")),
        page(contents("")),
        page(contents("a", "-1")),
        page(contents("a", "1e9")),
        page(contents("a", "\u0665")),
        page(contents("a", "9" * 30)),
        page(contents("a", modified="yesterday")),
        page(contents("a", modified="0000-01-01T00:00:00Z")),
        page("<Contents><Key>a</Key></Contents>"),
        page("<Contents/>"),
        page(contents("a" * 10_000)),
        page(*(contents(f"{number:04}") for number in range(1001))),
        page(contents("a"))[:-20],
        b"\xff\xfe" + page(contents("a")),
        b"<ListBucketResult>" + b"<a>" * 10_000,
    ],
)
def test_anything_else_is_no_listing(body: bytes) -> None:
    """Wrong is worse than absent."""
    assert read_listing(body) is None


def test_a_key_within_another_element_is_none() -> None:
    """Only what S3 documents counts."""
    assert read_listing(page("<Other><Contents><Key>a</Key></Contents></Other>")) == Listing([], [], False, "")  # noqa: FBT003


def test_largest_page_takes_little_time() -> None:
    """A thousand long names are read within the time that a loop can spare."""
    body = page(*(contents("%C3%A9" * 500 + f"{number:04}") for number in range(1000)))
    began = time.process_time()

    assert read_listing(body) is not None
    assert time.process_time() - began < 0.5


def test_query_is_sorted_and_encoded() -> None:
    """It is signed as it is sent."""
    assert listing_query("é +/", deep=False, keys=7, start_after="a&b") == (
        "delimiter=%2F&encoding-type=url&list-type=2&max-keys=7&prefix=%C3%A9%20%2B%2F&start-after=a%26b"
    )
    assert listing_query("", deep=True, keys=7, start_after="a", token="=") == (
        "continuation-token=%3D&encoding-type=url&list-type=2&max-keys=7&prefix="
    )
