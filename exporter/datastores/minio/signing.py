"""How requests to MinIO are signed: AWS signature version 4 for S3 and admin calls, a bearer token for the metrics."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from minio.credentials import Credentials  # type: ignore[attr-defined]  # missing in the package's __all__
from minio.signer import sign_v4_s3

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
        """Return the headers of a GET of this URL, whose host is as it will be sent."""
        now, parts = datetime.now(UTC), urlsplit(url)
        headers = sign_v4_s3(
            method="GET",
            url=parts,
            region=self._region,
            headers={
                "Host": parts.netloc,
                "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
                "x-amz-content-sha256": _NO_BODY,
            },
            credentials=Credentials(*self.keys),
            content_sha256=_NO_BODY,
            date=now,
        )
        return {name: value for name, value in headers.items() if isinstance(value, str)}

    def bearer(self) -> Mapping[str, str]:
        """Return the header for the metrics page; a token is used for half of its lifetime."""
        token, expires = self._token
        now = time.time()
        if not 0 < expires - now <= LIFETIME_SECONDS / 2:  # after a jump of the clock, too
            token = metrics_token(*self.keys, now)
            self._token = (token, now + LIFETIME_SECONDS / 2)
        return {"Authorization": f"Bearer {token}"}


LIFETIME_SECONDS = 3600


def metrics_token(access_key: str, secret_key: str, now: float) -> str:
    """Return a JSON web token, HS512.

    It has no `iat` or `nbf`, so that a server whose clock is behind accepts it.
    """
    claims = {"exp": int(now) + LIFETIME_SECONDS, "iss": "prometheus", "sub": access_key}
    signed = _encoded({"alg": "HS512", "typ": "JWT"}) + b"." + _encoded(claims)
    signature = hmac.new(secret_key.encode(), signed, hashlib.sha512).digest()
    return (signed + b"." + _base64(signature)).decode()


def _encoded(content: object) -> bytes:
    return _base64(json.dumps(content, separators=(",", ":")).encode())


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
