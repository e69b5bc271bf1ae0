"""The URL of a place of backups says one thing, or is refused without being repeated."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.config.backup_address import PlaceAddress, place_address

SCHEMES = {"s3": "s3://objects", "https": "https://s3.example:9000"}


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:///backups", "/backups"),
        ("file:///backups/", "/backups"),
        ("file:///srv/my%20backups", "/srv/my backups"),
        ("file:///srv/my backups", "/srv/my backups"),
        ("file:///srv/100%25", "/srv/100%"),
        ("file:///srv/a%3Fb%23c", "/srv/a?b#c"),
        ("file:///srv/@snapshots/x:y", "/srv/@snapshots/x:y"),
        ("file:///srv/%C3%A9", "/srv/é"),
        ("file:///srv/é", "/srv/é"),
        ("file:///srv/..data", "/srv/..data"),
    ],
)
def test_place_address_of_a_folder_is_its_path(url: str, folder: str) -> None:
    assert place_address(url) == PlaceAddress(folder=Path(folder))


def test_place_address_of_a_folder_that_is_not_utf8_keeps_its_bytes() -> None:
    """File systems have such names, and nobody should have to rename them."""
    folder = place_address("file:///srv/%E9t%E9").folder

    assert os.fsencode(str(folder)) == b"/srv/\xe9t\xe9"


@pytest.mark.parametrize("scheme", ["s3", "https"])
@pytest.mark.parametrize(
    ("path", "bucket", "prefix"),
    [
        ("/backups", "backups", ""),
        ("/backups/", "backups", ""),
        ("/backups/apex", "backups", "apex/"),
        ("/backups/apex/", "backups", "apex/"),
        ("/backups/a%20b/c", "backups", "a b/c/"),
        ("/my_bucket.eu-1/2026", "my_bucket.eu-1", "2026/"),
    ],
)
def test_place_address_of_a_bucket_has_a_prefix_with_a_slash(scheme: str, path: str, bucket: str, prefix: str) -> None:
    server, endpoint = ("objects", "") if scheme == "s3" else ("", SCHEMES["https"])

    assert place_address(SCHEMES[scheme] + path) == PlaceAddress(None, server, endpoint, bucket, prefix)


def test_place_address_keeps_the_case_of_a_targets_name() -> None:
    """Hosts have none, names of targets do."""
    assert place_address("s3://Objects-1.eu/backups").server == "Objects-1.eu"


def test_place_address_of_an_ipv6_host_keeps_its_brackets() -> None:
    assert place_address("http://[::1]:9000/backups").endpoint == "http://[::1]:9000"


FOLDER = "a folder has three slashes, a path from the root and no host"
ROOT = "the root of the file system is no place of backups"
PLAIN = "the path has '.', '..' or two slashes in a row"
CONTROL = "the URL has a control character"
BUCKET = "the first part of the path is no name of a bucket: 3 to 63 letters"
TARGET = "after s3:// comes the name of a target of minio"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("file://backups", FOLDER),
        ("file://./backups", FOLDER),
        ("file://../backups", FOLDER),
        ("file://localhost/backups", FOLDER),
        ("file://", FOLDER),
        ("file:///", ROOT),
        ("file:////", ROOT),
        ("file:///%2F", ROOT),
        ("file:////srv", PLAIN),
        ("file:///srv//backups", PLAIN),
        ("file:///srv/../etc", PLAIN),
        ("file:///srv/%2e%2e/etc", PLAIN),
        ("file:///srv%2F..%2Fetc", PLAIN),
        ("file:///.", PLAIN),
        ("file:///srv%00", "%00 is in the name of no folder"),
        ("file:///srv/100%", "the URL has a '%' that begins no %20"),
        ("file:///srv/%zz", "the URL has a '%' that begins no %20"),
        ("file:///srv\n", CONTROL),
        ("file:///s\trv", CONTROL),
        ("file:///srv?x=1", "the URL has a query, which nobody reads; in a name '?' is written %3F"),
        ("file:///srv#x", "the URL has a fragment, which nobody reads"),
        ("file:///srv/\udc80", "not a URL"),
        ("s3://objects", "the URL has no bucket"),
        ("s3://objects/", "the URL has no bucket"),
        ("s3:///backups", TARGET),
        ("s3://objects:9000/backups", TARGET),
        ("s3://key:secret@objects/backups", TARGET),
        ("s3://objects/%00ab", CONTROL),
        ("s3://objects/backups/a%0Ab", CONTROL),
        ("s3://objects/backups/%E9", "the name of an object is UTF-8"),
        ("s3://objects/backups//a", PLAIN),
        ("s3://objects//backups", "the URL has no bucket"),
        ("s3://objects/backups/../other", PLAIN),
        ("s3://objects/backups?versionId=1", "the URL has a query"),
        ("https://s3.example", "the URL has no bucket"),
        ("https://s3.example/", "the URL has no bucket"),
        ("https:///backups", "the URL has no host"),
        ("https://s3.example/b#x", "the URL has a fragment"),
        *((f"s3://objects/{name}", BUCKET) for name in ("ab", "-abc", "abc-", "a..b", "10.0.0.1", "a" * 64, "a b")),
    ],
)  # fmt: skip
def test_place_address_of_a_wrong_url_says_what_is_right(url: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        place_address(url)

    assert str(caught.value).startswith(problem)
    assert "secret" not in str(caught.value)


@given(
    scheme=st.sampled_from(["file://", "file:///", "s3://objects/", "https://h/", "s3://"]), text=st.text(max_size=40)
)
@example(scheme="file:///", text="%2e%2e%2f%00")
@example(scheme="s3://objects/", text="abc/%2e%2e/x")
def test_place_address_of_any_text_is_plain_or_refused(scheme: str, text: str) -> None:
    """Whatever is written, no path leaves its place."""
    try:
        found = place_address(scheme + text)
    except ValueError:
        return

    path = str(found.folder).removeprefix("/") if found.folder else f"{found.bucket}/{found.prefix}".removesuffix("/")
    assert not {"", ".", ".."} & {*path.split("/")}
    assert "\0" not in path
    assert bool(found.folder) != bool(found.bucket)
    assert bool(found.bucket) == bool(found.server or found.endpoint)
    assert found.prefix in ("", f"{found.prefix.rstrip('/')}/")
