"""The bearer token of MinIO's metrics endpoints, as `mc admin prometheus generate` makes it, but short-lived."""

import base64
import hashlib
import hmac
import json

LIFETIME_SECONDS = 3600


def metrics_token(access_key: str, secret_key: str, now: float) -> str:
    """Return a JSON web token, HS512.

    It has no `iat` or `nbf`, so that a server whose clock is behind takes it, too.
    """
    claims = {"exp": int(now) + LIFETIME_SECONDS, "iss": "prometheus", "sub": access_key}
    signed = _encoded({"alg": "HS512", "typ": "JWT"}) + b"." + _encoded(claims)
    signature = hmac.new(secret_key.encode(), signed, hashlib.sha512).digest()
    return (signed + b"." + _base64(signature)).decode()


def _encoded(content: object) -> bytes:
    return _base64(json.dumps(content, separators=(",", ":")).encode())


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
