"""The two ways to sign in to MinIO: AWS signature version 4 for S3 and admin calls, a bearer token for the metrics.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from exporter.datastores.minio.token import LIFETIME_SECONDS, metrics_token

_HOW = "AWS4-HMAC-SHA256"
_NO_BODY = hashlib.sha256(b"").hexdigest()


class Keys(NamedTuple):
    access: str
    secret: str


class Signer:
    """Signs requests without a body; no I/O."""

    def __init__(self, keys: Keys, region: str) -> None:
        self.keys = keys
        self._region = region
        self._token = ("", 0.0)

    def signed(self, url: str) -> Mapping[str, str]:
        """Return the headers of a GET of this URL, its host as it will be sent; a query has one parameter at most."""
        now, parts = datetime.now(UTC), urlsplit(url)
        moment, scope = f"{now:%Y%m%dT%H%M%SZ}", (f"{now:%Y%m%d}", self._region, "s3", "aws4_request")
        headers = {"host": parts.netloc, "x-amz-content-sha256": _NO_BODY, "x-amz-date": moment}
        names, lines = ";".join(headers), [f"{name}:{value}" for name, value in headers.items()]
        request = "\n".join(["GET", parts.path or "/", parts.query, *lines, "", names, _NO_BODY])
        digest = hashlib.sha256(request.encode()).hexdigest()
        signature = hmac.digest(self._key(scope), "\n".join([_HOW, moment, "/".join(scope), digest]).encode(), "sha256")
        credential = f"{self.keys.access}/{'/'.join(scope)}"
        signed = f"{_HOW} Credential={credential}, SignedHeaders={names}, Signature={signature.hex()}"
        return {**headers, "authorization": signed}

    def _key(self, scope: Iterable[str]) -> bytes:
        key = f"AWS4{self.keys.secret}".encode()
        for part in scope:
            key = hmac.digest(key, part.encode(), "sha256")
        return key

    def bearer(self) -> Mapping[str, str]:
        """Return the header that the metrics page asks for; a token is used for half of its life."""
        token, expires = self._token
        now = time.time()
        if not 0 < expires - now <= LIFETIME_SECONDS / 2:  # a clock that jumped makes a new one, too
            token = metrics_token(*self.keys, now)
            self._token = (token, now + LIFETIME_SECONDS / 2)
        return {"Authorization": f"Bearer {token}"}
