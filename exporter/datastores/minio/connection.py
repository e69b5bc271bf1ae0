"""Requests to one MinIO server: one client, few connections, no retries, each answer judged by what it proves."""

import re
import secrets
import ssl
from asyncio import Lock, timeout
from collections.abc import Mapping

import httpx

from exporter.datastores.http_client import http_client, http_reason
from exporter.datastores.json_page import parse_json
from exporter.datastores.json_path import Json
from exporter.datastores.minio.admin_pages import ADMIN_PAGES
from exporter.datastores.minio.proof import Answer, health_of, knows_keys, refusal
from exporter.datastores.minio.responses import Health, Refused
from exporter.datastores.minio.signing import Keys, Signer
from exporter.datastores.off_loop import off_loop
from exporter.datastores.prometheus_text import NativePage
from exporter.datastores.refcount import RefCounted
from exporter.errors import QueryError, Reason

CLOCKS_DIFFER = "RequestTimeTooSkewed"
NO_KEYS = "needs access_key and secret_key"

_BACKSTOP_SECONDS = 60.0  # the poller's deadlines come first; this ends what nobody waits for
_SMALL, _METRICS = 64 * 1024, 8 * 2**20  # bytes of an answer
_MOST_SAMPLES = 30_000  # of one family: 100 nodes have as many
_ADMIN, _PARSED = 12 * 2**20, 40 * 2**20  # 12,000 buckets take as much, whose counts the scanner has
_ADMIN_SECONDS = 5.0
_NOT_ASCII = bytes(range(0x80, 0x100))
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_AUTH_CODES = {
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidTokenId", "ExpiredToken",
    "InvalidToken", "AuthorizationHeaderMalformed", "AuthorizationParametersError", "XAdminUserNotFound",
}  # fmt: skip
_OK, _FORBIDDEN, _OWN_TROUBLE = 200, 403, 500
_REASONS: Mapping[int, Reason] = {401: "auth", 407: "auth", 408: "timeout", 429: "limit", 504: "timeout"}


class Connection:
    """Ask one server; every method but the first two is one request, which ends when its caller is cancelled."""

    def __init__(
        self,
        url: str,
        region: str,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = http_client(url, tls, _BACKSTOP_SECONDS, transport)
        self._base = str(self._client.base_url).rstrip("/")
        self._shared = RefCounted(self._client.aclose)
        self._large = Lock()
        self._region = region
        self._signer: Signer | None = None
        self._renewing: Mapping[str, str] = {}
        self._nowhere = f"datatier-exporter-{secrets.token_hex(8)}"
        self.skew: float | None = None

    @property
    def keys(self) -> Keys | None:
        return self._signer.keys if self._signer else None

    def sign_in(self, keys: Keys | None) -> None:
        """Use these keys from now on; no I/O."""
        if keys and not (keys.access.isascii() and keys.access.isprintable()):
            raise QueryError("auth", "the access key holds characters that a header cannot carry")
        if keys != self.keys:
            self._signer = Signer(keys, self._region) if keys else None

    def renew(self) -> None:
        """Leave the connection of the next request after it: whoever comes next shakes hands anew."""
        self._renewing = {"connection": "close"}

    async def close(self) -> None:
        await self._shared.close_when_idle()

    async def prove_keys(self, bucket: str = "") -> None:
        """Make a signed call whose cost does not depend on what is stored; raise Refused for all but a plain yes.

        Every S3 server can say where a bucket lies. One that is there leaves no error in the server's metrics;
        without its name it is one that nobody has, and NoSuchBucket tells that the signature was right.
        """
        bucket = bucket if _BUCKET.fullmatch(bucket) else self._nowhere
        answer = await self._signed(f"/{bucket}?location=", _SMALL)
        if not knows_keys(answer):
            raise refusal("S3 call", answer)

    async def admin(self, name: str) -> Json:
        """Read one of ADMIN_PAGES.

        Never the account with prefix-usage: the server then answers with the first bucket's prefixes for every bucket.
        """
        page = ADMIN_PAGES[name]
        what = f"admin call {page.call}"
        async with self._large, timeout(_ADMIN_SECONDS):  # one at a time: each takes much memory for a moment
            answer = await self._signed(f"/minio/admin/v3/{page.call}", _ADMIN)
            if answer.status != _OK or not answer.body[:_SMALL].lstrip().startswith(b"{"):
                raise refusal(what, answer)
            content = await parse_json(_ascii(answer.body), what, _PARSED)
            if not isinstance(content, dict) or page.sign not in content:
                raise refusal(what, answer)
            return await off_loop(len(answer.body), page.kept, content)

    async def health(self, endpoint: str) -> Health:
        path = f"/minio/health/{endpoint}"
        return health_of(path, await self._get(path, {}, _SMALL))

    async def metrics(self) -> NativePage:
        headers = self._signer.bearer() if self._signer else {}
        path = "/minio/v2/metrics/cluster"
        answer = await self._get(path, {"Accept": "text/plain;version=0.0.4", **headers}, _METRICS)
        page = NativePage(answer.body, _MOST_SAMPLES)
        if answer.status != _OK or not page.has("minio_"):
            raise refusal("metrics page", answer)
        return page

    async def _signed(self, path: str, most: int) -> Answer:
        if self._signer is None:
            raise QueryError("unsupported", NO_KEYS)
        return await self._get(path, self._signer.signed(self._base + path), most)

    async def _get(self, path: str, headers: Mapping[str, str], most: int) -> Answer:
        renewing, self._renewing = self._renewing, {}
        async with self._shared:
            response = await self._client.get(path, headers={**headers, **renewing}, extensions={"body_bytes": most})
        self.skew = response.extensions["clock_skew"]
        return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)


def _ascii(page: bytes) -> bytes:
    """Leave out what only free texts hold, none of which is read: one such sign makes the whole four times as large."""
    return page if page.isascii() else page.translate(None, _NOT_ASCII)


def reason_of(error: BaseException) -> Reason:
    """Classify an error of the client, of the connection under it, or of our own."""
    return _reason_of_answer(error) if isinstance(error, Refused) else http_reason(error) or "decode"


def _reason_of_answer(refused: Refused) -> Reason:
    if refused.code == CLOCKS_DIFFER:
        return "limit"
    if refused.denied:
        return "privilege"
    # Each server has words of its own for keys that it does not take.
    if refused.code in _AUTH_CODES or (refused.status == _FORBIDDEN and not refused.foreign and not refused.not_there):
        return "auth"
    if refused.status in _REASONS:
        return _REASONS[refused.status]
    if refused.status >= _OWN_TROUBLE and not refused.not_there:
        return "connect"
    return "unsupported" if refused.foreign or refused.not_there else "query"
