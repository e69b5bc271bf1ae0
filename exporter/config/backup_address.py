"""Where backups lie, as the URL of their place says it: a folder, or a bucket and how its objects begin."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urlsplit

from exporter.config.address import NO_URL, unread_part
from exporter.config.backup_files import is_plain
from exporter.config.names import is_name

ADVICE = "write a folder as file:///backups, a bucket as s3://TARGET/bucket/prefix or https://host/bucket/prefix"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # urlsplit drops some of them
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BUCKET = re.compile(r"(?!\d+(\.\d+){3}$)(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class PlaceAddress:
    """Where a place is.

    folder: None where it is a bucket. server: the target that has the bucket; empty where the URL has its `endpoint`.
    prefix: how the names of its objects begin, with a slash at its end, or empty.
    """

    folder: Path | None = None
    server: str = ""
    endpoint: str = ""
    bucket: str = ""
    prefix: str = ""


def is_bucket(name: str) -> bool:
    """Return whether servers take a name for a bucket's; some take more than others."""
    return _BUCKET.fullmatch(name) is not None


def place_address(text: str) -> PlaceAddress:
    """Parse the URL of a place; raise ValueError with a message that repeats no part of it."""
    try:
        text.encode()
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(NO_URL) from None
    if _CONTROL.search(text):
        raise ValueError("the URL has a control character, such as the end of a line")
    if part := unread_part(text, ("user", "path")):
        raise ValueError(f"the URL has a {part}, which nobody reads; in a name '?' is written %3F, '#' %23: {ADVICE}")
    if _NO_ESCAPE.search(parts.path):
        raise ValueError("the URL has a '%' that begins no %20 or the like; the character itself is written %25")
    return _folder(parts.netloc, parts.path) if parts.scheme == "file" else _bucket(parts.scheme, parts)


def _folder(host: str, path: str) -> PlaceAddress:
    if host or not path:
        raise ValueError("a folder has three slashes, a path from the root and no host: file:///backups")
    decoded = unquote_to_bytes(path)
    if b"\0" in decoded:
        raise ValueError("%00 is in the name of no folder")
    folder = os.fsdecode(decoded)
    if not folder.strip("/"):
        raise ValueError("the root of the file system is no place of backups: write their folder, file:///backups")
    _check_path(folder.removeprefix("/"))
    return PlaceAddress(folder=Path(folder))


def _bucket(scheme: str, parts: SplitResult) -> PlaceAddress:
    try:
        path = unquote(parts.path, errors="strict").removeprefix("/")
    except UnicodeDecodeError:
        raise ValueError("the name of an object is UTF-8, also where its bytes are written %C3%A9") from None
    if _CONTROL.search(path):
        raise ValueError("the URL has a control character, such as %00")
    bucket, _, prefix = path.partition("/")
    if not bucket:
        raise ValueError(f"the URL has no bucket: {ADVICE}")
    if not is_bucket(bucket):
        raise ValueError(
            "the first part of the path is no name of a bucket: 3 to 63 letters, digits, '.', '-' and '_', "
            "a letter or digit first and last"
        )
    _check_path(prefix)
    prefix = f"{prefix.removesuffix('/')}/" if prefix else ""
    if scheme != "s3":
        if not parts.hostname:
            raise ValueError(f"the URL has no host: {ADVICE}")
        return PlaceAddress(endpoint=f"{scheme}://{parts.netloc}", bucket=bucket, prefix=prefix)
    if not is_name(parts.netloc):
        raise ValueError(f"after s3:// comes the name of a target of minio: {ADVICE}")
    return PlaceAddress(server=parts.netloc, bucket=bucket, prefix=prefix)


def _check_path(path: str) -> None:
    if path and not is_plain(path):
        raise ValueError("the path has '.', '..' or two slashes in a row: write it without")
