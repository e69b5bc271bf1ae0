"""Requests to one MinIO server: one pool of connections, few threads, no retries; the only user of the client."""

import asyncio
import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider  # type: ignore[attr-defined]  # missing in the package's __all__
from minio.error import InvalidResponseError, MinioAdminException, S3Error
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError
from urllib3.exceptions import TimeoutError as SocketTimeoutError

from exporter.datastores.keepalive import SOCKET_OPTIONS
from exporter.datastores.minio.answers import Health, Json, NativePage, Refused
from exporter.datastores.minio.token import LIFETIME_SECONDS, metrics_token
from exporter.query import QueryError, Reason

_T = TypeVar("_T")

NO_KEYS = "needs access_key and secret_key"

_THREADS = 4  # two lanes, and two that a deadline left behind
_CONNECT_SECONDS = 2.0
_READ_SECONDS = 5.0  # of silence: what a thread outlives its deadline by at most on a frozen server
_PAGE_BYTES = 32 * 2**20
_AUTH_CODES = {
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "InvalidTokenId", "ExpiredToken",
    "InvalidToken", "AuthorizationHeaderMalformed", "AuthorizationParametersError",
}  # fmt: skip


class Keys(NamedTuple):
    access: str
    secret: str


class Connection:
    """Ask one server; every method is one request in a thread of this target's own.

    A thread cannot be cancelled: a caller whose deadline has passed leaves, and the thread comes back when the
    socket times out. While no thread is free a request is refused at once, as a timeout, instead of queueing.
    """

    def __init__(self, url: str, region: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc.rpartition("@")[2]
        self._secure = parts.scheme == "https"
        self._base = f"{parts.scheme}://{self._host}/minio"
        self._region = region
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            retries=urllib3.Retry(0),
            maxsize=_THREADS,
            ssl_context=tls,
            socket_options=[*HTTPConnection.default_socket_options, *SOCKET_OPTIONS],
        )
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="minio")
        self._free = threading.BoundedSemaphore(_THREADS)
        self.keys: Keys | None = None
        self._token = ("", 0.0)
        self._clients: tuple[Minio, MinioAdmin] | None = None

    def sign_in(self, keys: Keys | None) -> None:
        """Use these keys from now on; no I/O."""
        if keys == self.keys:
            return
        self.keys = keys
        self._token = ("", 0.0)
        self._clients = self._signing(keys) if keys else None

    def _signing(self, keys: Keys) -> tuple[Minio, MinioAdmin]:
        signer = StaticProvider(*keys)
        host, secure, region, pool = self._host, self._secure, self._region, self._pool
        return (
            Minio(endpoint=host, credentials=signer, secure=secure, region=region, http_client=pool),
            MinioAdmin(endpoint=host, credentials=signer, secure=secure, region=region, http_client=pool),
        )

    def renew(self) -> None:
        """Leave the connections that are idle now, and the others when they are done."""
        self._pool.clear()

    def close(self) -> None:
        """Free what is idle; a thread that waits for a frozen server ends with its socket's timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.clear()

    async def list_buckets(self) -> None:
        """Make a signed call that every S3 server knows, and that tells wrong keys from a missing privilege."""
        s3, _ = self._signed()
        await self._in_thread(partial(_s3_call, s3.list_buckets))

    async def info(self) -> Json:
        _, admin = self._signed()
        return await self._in_thread(partial(_admin_call, "admin info", admin.info))

    async def account(self) -> Json:
        # Never with prefix_usage: the server then answers with the first bucket's prefixes for every bucket.
        _, admin = self._signed()
        return await self._in_thread(partial(_admin_call, "account info", admin.account_info))

    async def usage(self) -> Json:
        _, admin = self._signed()
        return await self._in_thread(partial(_admin_call, "usage info", admin.get_data_usage_info))

    async def health(self, endpoint: str) -> Health:
        return await self._in_thread(partial(self._health, endpoint))

    async def metrics(self) -> NativePage:
        return await self._in_thread(self._metrics)

    def _signed(self) -> tuple[Minio, MinioAdmin]:
        if self._clients is None:
            raise QueryError("unsupported", NO_KEYS)
        return self._clients

    def _health(self, endpoint: str) -> Health:
        answer = self._pool.request("GET", f"{self._base}/health/{endpoint}", redirect=False)
        return Health(answer.status, {name.lower(): value for name, value in answer.headers.items()})

    def _metrics(self) -> NativePage:
        headers = {"Accept": "text/plain;version=0.0.4"}
        if self.keys is not None:
            headers["Authorization"] = f"Bearer {self._bearer(self.keys)}"
        url = f"{self._base}/v2/metrics/cluster"
        answer = self._pool.request("GET", url, headers=headers, redirect=False, preload_content=False)
        try:
            body = answer.read(_PAGE_BYTES + 1)
        finally:
            answer.release_conn()
        if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
            raise Refused("metrics page", answer.status, _code(body.decode("utf-8", "replace")))
        if len(body) > _PAGE_BYTES:
            raise QueryError("limit", f"the metrics page is longer than {_PAGE_BYTES} bytes")
        return NativePage(body)

    def _bearer(self, keys: Keys) -> str:
        token, expires = self._token
        now = time.time()
        if not 0 < expires - now <= LIFETIME_SECONDS / 2:  # a clock that jumped makes a new one, too
            token = metrics_token(*keys, now)
            self._token = (token, now + LIFETIME_SECONDS / 2)
        return token

    async def _in_thread(self, request: Callable[[], _T]) -> _T:
        if not self._free.acquire(blocking=False):
            raise TimeoutError("the requests of earlier passes have not come back yet")
        future = self._threads.submit(request)
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(future)


def _s3_call(call: Callable[[], object]) -> None:
    try:
        call()
    except S3Error as error:
        raise Refused("S3 call", error.response.status, error.code or "") from None
    except InvalidResponseError as error:
        raise Refused("S3 call", _status(error), "") from None


def _admin_call(what: str, call: Callable[[], str]) -> Json:
    try:
        answer = json.loads(call())
    except MinioAdminException as error:
        raise Refused(what, _status(error), _code(str(error))) from None
    if not isinstance(answer, dict):
        raise QueryError("decode", f"{what}: not a JSON object")
    return answer


def _status(error: Exception) -> int:
    """Return the HTTP status, which the client tells in its message only."""
    found = re.search(r"(?:Status|Response code): (\d+)", str(error))
    return int(found[1]) if found else 0


def _code(body: str) -> str:
    """Return the server's word for what is wrong: JSON from MinIO's own endpoints, XML from S3's."""
    found = re.search(r'"Code":"(\w+)"|<Code>(\w+)</Code>', body)
    return found[1] or found[2] if found else ""


def reason_of(error: BaseException) -> Reason:
    """Classify an error of the client, of the connection under it, or of our own."""
    if isinstance(error, MaxRetryError) and error.reason is not None:
        error = error.reason
    if isinstance(error, QueryError):
        return error.reason
    if isinstance(error, NewConnectionError):  # a kind of timeout, for urllib3
        return "connect"
    if isinstance(error, TimeoutError | SocketTimeoutError):
        return "timeout"
    if isinstance(error, Refused):
        return _reason_of_answer(error)
    return "connect" if isinstance(error, HTTPError | OSError) else "decode"


def _reason_of_answer(refused: Refused) -> Reason:
    if refused.code in _AUTH_CODES or refused.status == 401:  # noqa: PLR2004 - HTTP's unauthorized
        return "auth"
    if refused.denied:
        return "privilege"
    if refused.not_there:
        return "unsupported"
    return "connect" if refused.status >= 500 else "query"  # noqa: PLR2004 - the server's own trouble
