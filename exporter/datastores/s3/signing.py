"""How requests to an S3 server are signed: AWS signature version 4."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from minio.credentials import Credentials  # type: ignore[attr-defined]  # missing in the package's __all__
from minio.signer import sign_v4_s3

from exporter.config.stores.minio import MinioTarget
from exporter.errors import QueryError

_NO_BODY = hashlib.sha256(b"").hexdigest()


class Keys(NamedTuple):
    access: str
    secret: str


def keys_of(server: MinioTarget) -> Keys | None:
    """Return the present keys of a server, which may lie in files; None where it has none."""
    try:
        access, secret = server.secret("access_key"), server.secret("secret_key")
    except ValueError as error:
        raise QueryError("auth", str(error)) from None
    return Keys(access, secret) if access and secret else None


def signed_headers(keys: Keys, region: str, url: str) -> Mapping[str, str]:
    """Return the headers of a GET of this URL without a body, whose host, path and query are as they will be sent."""
    now, parts = datetime.now(UTC), urlsplit(url)
    headers = sign_v4_s3(
        method="GET",
        url=parts,
        region=region,
        headers={
            "Host": parts.netloc,
            "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
            "x-amz-content-sha256": _NO_BODY,
        },
        credentials=Credentials(*keys),
        content_sha256=_NO_BODY,
        date=now,
    )
    return {name: value for name, value in headers.items() if isinstance(value, str)}
