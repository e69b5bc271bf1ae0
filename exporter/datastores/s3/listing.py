"""The response of ListObjectsV2: names and sizes of objects, each read with suspicion."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes
from xml.parsers import expat

PAGE_KEYS = 1000  # which no server exceeds
_PIECE = 64 * 1024  # bytes: other threads run between two
_LONGEST = 4096  # characters of a key or a token: a key has 1024 bytes at most
_DIGITS = 20
_OF_OBJECT = ("Key", "Size", "LastModified")
_OF_PAGE = ("IsTruncated", "NextContinuationToken", "EncodingType")


class ListedObject(NamedTuple):
    """An object; modified is Unix time."""

    key: str
    bytes: int
    modified: float


class Listing(NamedTuple):
    """A page; `folders` are common prefixes. token: for the next page, empty where the server sent none."""

    objects: Sequence[ListedObject]
    folders: Sequence[str]
    truncated: bool
    token: str


def listing_query(prefix: str, *, deep: bool, keys: int, start_after: str = "", token: str = "") -> str:
    """Return the query of a ListObjectsV2, as it is signed and sent."""
    values = {
        "continuation-token": token,
        "delimiter": "" if deep else "/",
        "encoding-type": "url",
        "list-type": "2",
        "max-keys": str(keys),
        "prefix": prefix,
        "start-after": "" if token else start_after,
    }
    return "&".join(f"{name}={encoded(value)}" for name, value in values.items() if value or name == "prefix")


def encoded(text: str, safe: str = "") -> str:
    """Return a text as S3 encodes it in a URL: nothing but letters, digits and - . _ ~ stays."""
    return quote(text.encode(errors="surrogateescape"), safe=safe)


def read_listing(body: bytes) -> Listing | None:
    """Parse a page; return None for any other document, one with a DTD or with what no object can have."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _reject
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    try:
        for start in range(0, len(body), _PIECE):
            parser.Parse(body[start : start + _PIECE], False)  # noqa: FBT003 - expat's signature
        parser.Parse(b"", True)  # noqa: FBT003
        return reader.listing()
    except (expat.ExpatError, ValueError, OverflowError, KeyError):
        return None


class _Reader:
    """Collect the elements that matter; raise ValueError for what does not belong into a listing."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._page: dict[str, str] = {}
        self._object: dict[str, str] = {}
        self._objects: list[tuple[str, str, str]] = []
        self._folders: list[str] = []

    def start(self, name: str, _: Mapping[str, str]) -> None:
        self._path.append(name.rpartition(":")[2])
        match self._path:
            case ["ListBucketResult", *_]:
                pass
            case _:
                raise ValueError("no listing")
        self._text = []

    def text(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def end(self, _: str) -> None:
        path, value = self._path, "".join(self._text or ())
        self._text = None
        match path[1:]:
            case ["Contents", name] if name in _OF_OBJECT:
                self._object[name] = value
            case ["Contents"]:
                self._objects.append((self._object["Key"], self._object["Size"], self._object["LastModified"]))
                self._object = {}
            case ["CommonPrefixes", "Prefix"]:
                self._folders.append(value)
            case [name] if name in _OF_PAGE:
                self._page[name] = value
        path.pop()
        if len(self._objects) + len(self._folders) > PAGE_KEYS or len(value) > _LONGEST:
            raise ValueError("more than there can be")

    def listing(self) -> Listing:
        decode = _decoded if self._page.get("EncodingType", "").lower() == "url" else str
        return Listing(
            [ListedObject(_key(decode, key), _size(size), _time(time)) for key, size, time in self._objects],
            [_key(decode, folder) for folder in self._folders],
            {"true": True, "false": False}[self._page["IsTruncated"].strip().lower()],
            self._page.get("NextContinuationToken", ""),
        )


def _decoded(text: str) -> str:
    """Decode what servers encode as in a form: a space is a plus."""
    return unquote_to_bytes(text.replace("+", " ")).decode(errors="surrogateescape")


def _key(decode: Callable[[str], str], text: str) -> str:
    key = decode(text)
    if not key:
        raise ValueError("an object without a name")
    return key


def _size(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise ValueError("no size")
    return int(text)


def _time(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _reject(*_: object) -> None:
    raise ValueError("a DTD")
