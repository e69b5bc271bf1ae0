"""Only responses that an S3 server can have sent count as responses of MinIO."""

import asyncio
import time
from contextlib import suppress
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from exporter.datastores.minio.datastore import open_datastore
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from exporter.queries.query import unsupported
from exporter.settings import read_queries
from tests.support.collect import target_of

HTML = b"<!doctype html><html><body>Sign in<Code>NoSuchBucket</Code></body></html>"
LOCATION = b'<?xml version="1.0"?><LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'
BOMB = b'<!DOCTYPE Error [<!ENTITY a "Access"><!ENTITY b "&a;&a;">]><Error><Code>&b;Denied</Code></Error>'
OF_MINIO = {"server": "MinIO", "x-amz-request-id": "18ECEAB48DE39612"}
WEB = {"content-type": "text/html; charset=utf-8"}
JSON = {"content-type": "application/json"}
KEYS = {"access_key": "monitor", "secret_key": "monitor-secret"}


def error(code: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>No.</Message></Error>'.encode()


async def ping(keys: dict[str, str], status: int, headers: dict[str, str], body: bytes) -> str:
    """Ping a program that sends one response to all; return MinIO, another S3 server, or a reason."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, content=body))
    target: Any = target_of({"name": "objects", "store": "minio", "url": "http://objects:9000", **keys})
    async with open_datastore(target, transport) as datastore:
        try:
            info = await within_deadline(datastore.ping, 5.0, datastore.reason)
        except QueryError as failed:
            return failed.reason
    return "up" if any(not unsupported(query, info) for query in read_queries(["minio"])) else "another S3"


@pytest.mark.parametrize(
    ("status", "headers", "body", "keyless", "signed"),
    [
        (200, WEB, HTML, "unsupported", "unsupported"),  # MinIO's console, and every single-page application
        (200, {}, b"", "unsupported", "unsupported"),
        (200, {"content-type": "text/plain"}, b"ok", "unsupported", "unsupported"),
        (200, JSON, b'{"status":"ok"}', "unsupported", "unsupported"),
        (200, {**OF_MINIO, "etag": '"d41d8cd98f00"'}, b"", "unsupported", "unsupported"),  # an object of that name
        (204, {}, b"", "unsupported", "unsupported"),
        (301, {"location": "https://elsewhere/"}, b"", "unsupported", "unsupported"),
        (302, {"location": "/login", **WEB}, HTML, "unsupported", "unsupported"),
        (401, WEB, HTML, "auth", "auth"),
        (403, WEB, HTML, "unsupported", "unsupported"),
        (403, {}, b"", "unsupported", "unsupported"),
        (403, JSON, b'{"Code":"AccessDenied"}', "unsupported", "unsupported"),
        (403, {}, error(""), "unsupported", "unsupported"),
        (403, {}, error("Access Denied"), "unsupported", "unsupported"),
        (403, {}, BOMB, "unsupported", "unsupported"),
        (404, WEB, HTML, "unsupported", "unsupported"),
        (429, WEB, HTML, "limit", "limit"),
        (502, WEB, HTML, "connect", "connect"),
        (504, WEB, HTML, "timeout", "timeout"),
        (503, {}, b"", "connect", "connect"),
        (503, OF_MINIO, error("XMinioServerNotInitialized"), "up", "connect"),
        (403, {}, error("AccessDenied"), "another S3", "another S3"),  # another S3 server
        (404, {}, error("NoSuchBucket"), "another S3", "another S3"),
        (403, {}, error("SignatureDoesNotMatch"), "another S3", "auth"),
        (404, {}, error("XAdminUserNotFound"), "another S3", "auth"),  # versitygw, to an unknown access key
        (403, {}, error("NoSuchUser"), "another S3", "auth"),
        (400, OF_MINIO, error("InvalidArgument"), "unsupported", "unsupported"),  # MinIO's console
        (403, {}, error("RequestTimeTooSkewed"), "limit", "limit"),
        (200, OF_MINIO, b"", "up", "unsupported"),
        (200, {"server": "nginx", "x-amz-request-id": "1"}, b"", "up", "unsupported"),
    ],
)
async def test_ping_recognises_the_program_that_responds(
    status: int, headers: dict[str, str], body: bytes, keyless: str, signed: str
) -> None:
    """A page of anything else is never a server that is up, with keys or without."""
    assert await ping({}, status, headers, body) == keyless
    assert await ping(KEYS, status, headers, body) == signed


def answering(live: httpx.Response, other: httpx.Response) -> httpx.MockTransport:
    """Answer signed S3 calls as a server does, its health endpoint as given, and other pages of MinIO otherwise."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/minio/health/"):
            return live
        return other if request.url.path.startswith("/minio/") else httpx.Response(200, content=LOCATION)

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    ("page", "failing"),
    [
        (httpx.Response(403, headers=WEB, content=HTML), "decode"),
        (httpx.Response(200, headers=WEB, content=HTML), "decode"),
        (httpx.Response(200, headers=JSON, content=b'{"status":"ok"}'), "decode"),
        (httpx.Response(302, headers={"location": "/login"}), "decode"),
        (httpx.Response(502, headers=WEB, content=HTML), "connect"),
        (httpx.Response(404, content=error("NoSuchBucket")), None),
    ],
)
async def test_proxy_before_minio_is_not_another_s3_server(page: httpx.Response, failing: str | None) -> None:
    """Where S3 works and a proxy answers for MinIO's own pages, the queries fail; they are not just left out."""
    target: Any = target_of({"name": "objects", "store": "minio", "url": "http://objects:9000", **KEYS})
    outcomes = set()
    async with open_datastore(target, answering(page, page)) as datastore:
        info = await datastore.ping()
        async with datastore.session("fast") as session:
            for query in read_queries(["minio"]):
                if not unsupported(query, info):
                    with pytest.raises(QueryError) as caught:
                        await session.fetch(query)
                    outcomes.add(caught.value.reason)

    assert outcomes == ({failing} if failing else set())
    assert (info.capabilities["health"] == "the server has no MinIO endpoints") is (failing is None)


async def test_server_that_is_back_is_up_with_the_next_ping() -> None:
    """A proxy that answered at the start leaves nothing behind: with the next ping the server is known."""
    front: dict[str, httpx.MockTransport] = {"now": httpx.MockTransport(lambda _: httpx.Response(403, content=HTML))}

    async def switched(request: httpx.Request) -> httpx.Response:
        return await front["now"].handle_async_request(request)

    target: Any = target_of({"name": "objects", "store": "minio", "url": "http://objects:9000", **KEYS})
    async with open_datastore(target, httpx.MockTransport(switched)) as datastore:
        with pytest.raises(QueryError, match="is a proxy between"):
            await within_deadline(datastore.ping, 5.0, datastore.reason)
        denied = httpx.Response(403, headers=OF_MINIO, content=error("AccessDenied"))
        front["now"] = answering(httpx.Response(200, headers=OF_MINIO), denied)
        info = await within_deadline(datastore.ping, 5.0, datastore.reason)

    assert info.capabilities["health"] == ""


@pytest.mark.parametrize(("minutes", "words"), [(20, "20 min ahead of"), (-20, "20 min behind")])
def test_ping_reports_how_far_the_clocks_differ(minutes: int, words: str) -> None:
    """The keys are right, although the signature is refused."""

    def answer(_: httpx.Request) -> httpx.Response:
        now = time.time() + 60 * minutes
        headers = {**OF_MINIO, "date": formatdate(now, usegmt=True)}
        return httpx.Response(403, headers=headers, content=error("RequestTimeTooSkewed"))

    async def scenario() -> None:
        target: Any = target_of({"name": "objects", "store": "minio", "url": "http://objects:9000", **KEYS})
        async with open_datastore(target, httpx.MockTransport(answer)) as datastore:
            with pytest.raises(QueryError, match=f"the server's clock is {words} the exporter's") as caught:
                await datastore.ping()
            assert caught.value.reason == "limit"

    asyncio.run(scenario())


async def test_next_ping_reports_an_unexpected_error_of_the_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fault is lost in the task, and the ping after that begins anew."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_page = request.url.path.startswith("/minio/")
        return httpx.Response(200, headers=OF_MINIO, content=b"" if is_page else LOCATION)

    async def broken(*_: object) -> None:
        raise KeyError("an unexpected page")

    target: Any = target_of({"name": "objects", "store": "minio", "url": "http://objects:9000", **KEYS})
    async with open_datastore(target, httpx.MockTransport(answer)) as datastore:
        await datastore.ping()
        facts = datastore._facts  # noqa: SLF001 - as if ten minutes had passed
        assert facts.known is not None
        facts.keep(facts.known, 0.0)
        with monkeypatch.context() as patched:
            patched.setattr("exporter.datastores.minio.datastore.read_facts", broken)
            await datastore.ping()
            await asyncio.sleep(0)
            with pytest.raises(QueryError, match="an unexpected page"):
                await within_deadline(datastore.ping, 5.0, datastore.reason)
        assert await datastore.ping()


async def test_ping_does_not_wait_for_slow_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What 10,000 buckets keep waiting is read beside the pings, and is known as soon as it is there."""
    monkeypatch.setattr("exporter.datastores.minio.datastore.PING_SECONDS", 0.05)
    ready = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/minio/admin/"):
            await ready.wait()
            return httpx.Response(403, headers=OF_MINIO, content=error("AccessDenied"))
        if request.url.path.startswith("/minio/"):
            return httpx.Response(200, headers=OF_MINIO)
        return httpx.Response(200, content=LOCATION)

    target: Any = target_of({"name": "objects", "store": "minio", "url": "http://objects:9000", **KEYS})
    async with open_datastore(target, httpx.MockTransport(answer)) as datastore:
        first = await within_deadline(datastore.ping, 5.0, datastore.reason)
        second = await within_deadline(datastore.ping, 5.0, datastore.reason)
        ready.set()
        for _ in range(500):
            await asyncio.sleep(0.01)
            last = await datastore.ping()
            if last.missing_privileges:
                break

    assert first.missing_privileges == second.missing_privileges == {}
    assert last.missing_privileges.keys() == {"admin:ServerInfo", "admin:DataUsageInfo", "s3:GetBucketLocation"}


@pytest.mark.parametrize(("later", "missing"), [(b"{}x", set()), (None, {"admin:DataUsageInfo"})])
async def test_page_that_is_no_longer_denied_makes_the_next_ping_read_the_facts(
    later: bytes | None, missing: set[str]
) -> None:
    """Also where the page cannot be parsed; a page that is not answered in time proves nothing."""
    answers = {"usage": httpx.Response(403, headers=OF_MINIO, content=error("AccessDenied"))}

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("datausageinfo"):
            if "usage" not in answers:
                await asyncio.Event().wait()
            return answers["usage"]
        return httpx.Response(200, headers=OF_MINIO, content=b"" if "health" in request.url.path else LOCATION)

    target: Any = target_of({"name": "objects", "store": "minio", "url": "http://objects:9000", **KEYS})
    async with open_datastore(target, httpx.MockTransport(answer)) as datastore:
        first = await datastore.ping()
        answers = {} if later is None else {"usage": httpx.Response(200, headers=OF_MINIO, content=later)}
        async with datastore.session("fast") as session:
            with suppress(QueryError, TimeoutError):
                async with asyncio.timeout(0.05):
                    await session.read("usage")
        answers.setdefault("usage", httpx.Response(200, headers=OF_MINIO, content=b"{}x"))
        second = await datastore.ping()

    assert first.missing_privileges.keys() == {"admin:DataUsageInfo"}
    assert second.missing_privileges.keys() == missing
