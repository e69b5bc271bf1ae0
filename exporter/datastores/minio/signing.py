"""How a request for MinIO's metrics is signed: by a bearer token; S3 and admin calls are signed as S3's are."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

from exporter.datastores.s3.signing import Keys


class Bearer:
    """Makes the header for the metrics page; a token is used for half of its lifetime."""

    def __init__(self) -> None:
        self._made_with: Keys | None = None
        self._token = ("", 0.0)

    def headers(self, keys: Keys) -> Mapping[str, str]:
        token, expires = self._token
        now = time.time()
        fresh = 0 < expires - now <= LIFETIME_SECONDS / 2  # not after a jump of the clock
        if not fresh or keys != self._made_with:
            token = metrics_token(*keys, now)
            self._made_with, self._token = keys, (token, now + LIFETIME_SECONDS / 2)
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
