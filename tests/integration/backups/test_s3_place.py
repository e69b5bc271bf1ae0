"""A bucket of a real MinIO is read as a place: whatever its objects are named, with as few rights as are needed."""

import io
import json
from pathlib import Path

import pytest

from exporter.config.stores.backups import BackupsTarget
from exporter.datastores.backups.places.opened_place import OpenedPlace, open_place
from exporter.datastores.backups.places.place import GoneError, Page
from exporter.errors import QueryError
from testkit.minio import Minio
from testkit.session import Servers
from tests.support.collect import target_of
from tests.support.minio_admin import allow, s3

# A part of a name has 255 bytes at most in MinIO, and none is "." or "..".
NAMES = (
    "a-b.dump", "a.dump", "a/1.dump", "a/2.dump", "a/deep/er/3.dump", "b/4.dump", "new\nline", "100%25 + 1&x=y?#.dump",
    "é/ü.dump", "日本/バックアップ.dump", "😀.dump", "tab\tand \x01\x7f", "…/...dump",
    f"{'x' * 250}/{'y' * 250}/{'z' * 250}", "spaces  two", "'quoted\"", "a=b", "~tilde", "back`tick", "*star", "[x]",
    "semi;colon", "<xml>&amp;",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(servers: Servers) -> Minio:
    return servers.private_minio(1)


@pytest.fixture(scope="module")
def bucket(server: Minio) -> str:
    """Return a bucket with an object of each name, whose content is its name."""
    fill(server, "backups", "", NAMES)
    fill(server, "backups", "apex/", NAMES)
    s3(server).put_object(bucket_name="backups", object_name="apex/folder/", data=io.BytesIO(b""), length=0)
    return "backups"


def fill(server: Minio, bucket: str, prefix: str, names: tuple[str, ...]) -> None:
    client = s3(server)
    if not client.bucket_exists(bucket_name=bucket):
        client.make_bucket(bucket_name=bucket)
    for name in names:
        content = name.encode()
        client.put_object(bucket_name=bucket, object_name=prefix + name, data=io.BytesIO(content), length=len(content))


def place(server: Minio, path: str, marker: str | None = None, **keys: object) -> OpenedPlace:
    """Open a place whose URL names the server's target."""
    sets = [{"name": "daily", "of": "orders", "files": "*", "every": "1d"}]
    written = {"store": "backups", "name": "vault", "url": f"s3://objects/{path}", "marker": marker, "sets": sets}
    target = BackupsTarget.model_validate(written)
    return open_place(target.linked({"objects": target_of(server.target("objects", **keys))}))


def names(page: Page) -> list[str]:
    return [entry.name for entry in page.entries]


async def whole(opened: OpenedPlace, prefix: str, *, deep: bool, most: int, anew: bool = False) -> list[str]:
    """List page by page; `anew`: each without the token of the page before."""
    found, after = list[str](), ""
    while True:
        page = await opened.list(prefix, deep=deep, after=after, most=most)
        assert len(page.entries) + len(page.folders) <= most
        found += sorted([*names(page), *page.folders])
        if not page.more:
            return found
        after = found[-1]
        if anew:
            await opened.list("none", deep=True)
            vars(opened)["_walks"].clear()


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("most", [1, 2, 7, 10_000])
async def test_list_returns_all_names_in_order(server: Minio, bucket: str, most: int, anew: bool) -> None:  # noqa: FBT001
    """Each once, as they were written; a console's marker of a folder is no object."""
    opened = place(server, f"{bucket}/apex")

    assert await whole(opened, "", deep=True, most=most, anew=anew) == sorted(NAMES)
    assert await whole(opened, "a", deep=False, most=most, anew=anew) == ["a-b.dump", "a.dump", "a/", "a=b"]
    assert await whole(opened, "", deep=False, most=most, anew=anew) == sorted(
        {name.partition("/")[0] + "/" * ("/" in name) for name in NAMES} | {"folder/"}
    )
    await opened.close()


async def test_each_object_is_read_by_its_name(server: Minio, bucket: str) -> None:
    """The signature is that of the very bytes that are sent."""
    opened = place(server, f"{bucket}/apex")

    for name in NAMES:
        content = name.encode()
        assert await opened.read(name, 0, 2000) == content
        assert await opened.read(name, 1, 3) == content[1:4]
        assert await opened.read(name, len(content), 3) == b""
        assert not await opened.encrypted_at_rest(name)
    for name in ("none", "a", "a/", "b", "folder"):
        with pytest.raises(GoneError):
            await opened.read(name, 0, 1)
    await opened.close()


async def test_list_tells_size_and_time(server: Minio, bucket: str) -> None:
    """They are the object's."""
    opened = place(server, bucket)
    (entry,) = (await opened.list("b/4", deep=True)).entries
    found = s3(server).stat_object(bucket_name=bucket, object_name="b/4.dump")

    assert found.last_modified is not None
    assert (entry.name, entry.bytes) == ("b/4.dump", 8)
    assert entry.modified == pytest.approx(found.last_modified.timestamp(), abs=1.0)
    await opened.close()


async def test_ping_tells_what_the_place_is(server: Minio, bucket: str) -> None:
    """Its clock is compared; it has no disk of its own."""
    opened = place(server, f"{bucket}/apex", marker="a.dump")
    info = await opened.ping()

    assert (info.edition, dict(info.missing_privileges)) == ("s3", {})
    assert opened.clock_skew == pytest.approx(0.0, abs=2.0)
    assert await opened.disk() is None
    assert info.capabilities["disk"]
    await opened.close()


@pytest.mark.parametrize(
    ("path", "marker", "keys", "reason", "words"),
    [
        ("nowhere", None, {}, "connect", "no bucket of this name"),
        ("backups/apex", ".datatier", {}, "connect", "its marker is not there"),
        ("backups", None, {"secret_key": "wrong-secret"}, "auth", "SignatureDoesNotMatch"),
        ("backups", None, {"access_key": "nobody"}, "auth", "InvalidAccessKeyId"),
    ],
)
async def test_ping_says_what_is_wrong(  # noqa: PLR0913, PLR0917 - a case
    server: Minio, bucket: str, path: str, marker: str | None, keys: dict[str, str], reason: str, words: str
) -> None:
    """The reason is typed, and no key is in a message."""
    assert bucket == "backups"
    opened = place(server, path, marker, **keys)

    with pytest.raises(QueryError, match=words) as caught:
        await opened.ping()
    assert caught.value.reason == reason
    assert "wrong-secret" not in str(caught.value)
    await opened.close()


async def test_least_privilege(server: Minio, bucket: str) -> None:
    """Each missing right is named by the ping, with the statement that grants it: those two are all it takes."""
    keys = {"access_key": "monitor", "secret_key": "monitor-secret"}
    nothing = json.dumps({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::elsewhere/*"]})
    allow(server, keys, [nothing])
    opened = place(server, f"{bucket}/apex", **keys)

    refused = dict((await opened.ping()).missing_privileges)
    with pytest.raises(QueryError, match="lacks s3:ListBucket") as caught:
        await opened.list("", deep=True)
    assert caught.value.reason == "privilege"
    assert set(refused) == {"s3:ListBucket"}

    allow(server, keys, list(refused.values()))
    await opened.ping()
    page = await opened.list("", deep=True)
    with pytest.raises(QueryError, match="lacks s3:GetObject") as caught:
        await opened.read("a.dump", 0, 1)
    unread = dict((await opened.ping()).missing_privileges)
    assert len(page.entries) == len(NAMES)
    assert caught.value.reason == "privilege"
    assert set(unread) == {"s3:GetObject"}

    allow(server, keys, [*refused.values(), *unread.values()])
    assert await opened.read("a.dump", 0, 1) == b"a"
    assert (await opened.ping()).missing_privileges == {}
    await opened.close()


async def test_keys_are_read_again_at_each_ping(server: Minio, bucket: str, tmp_path: Path) -> None:
    """They may be rotated in their files."""
    file = tmp_path / "secret"
    file.write_text("wrong-secret")
    opened = place(server, bucket, secret_key=None, secret_key_file=str(file))

    with pytest.raises(QueryError, match="SignatureDoesNotMatch"):
        await opened.ping()
    file.write_text(server.secret_key)
    assert (await opened.ping()).edition == "s3"
    await opened.close()
