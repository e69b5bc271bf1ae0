"""Text of a server that need not be UTF-8: names are bytes, in whatever encoding their database had when they came.

Names of databases, roles and tablespaces are kept as the database that made them had them, and a SQL_ASCII database
takes any byte. asyncpg decodes strictly, and the server itself refuses to convert what its encoding does not know.
With the client encoding SQL_ASCII nothing is converted, and the bytes are read here as UTF-8, with a replacement
character for each that is not.
"""

import codecs
from collections.abc import Mapping
from types import MappingProxyType

UNCONVERTED: Mapping[str, str] = MappingProxyType({"client_encoding": "SQL_ASCII"})
CODEC = "utf_8_replaced"
_LONGEST = 1000  # what is longer is no name
_MOST = 10_000  # names remembered
_REPLACED = "\ufffd"

_shown: dict[str, bytes] = {}


def decode(data: bytes, errors: str = "replace") -> tuple[str, int]:
    """Decode as UTF-8; names that replacement made the same stay apart: the later one has its bytes behind it."""
    text, size = codecs.utf_8_decode(data, errors, True)  # noqa: FBT003 - C takes no name here
    if _REPLACED in text and size <= _LONGEST:
        return _made_unique(text, bytes(data)), size
    return text, size


def is_replaced(name: str, octets: int) -> bool:
    """Return whether a name is not the server's: it lost bytes, or was converted from another encoding."""
    return _REPLACED in name or len(name.encode()) != octets


def _made_unique(text: str, data: bytes) -> str:
    if len(_shown) >= _MOST:
        _shown.clear()
    while _shown.setdefault(text, data) != data:
        text = f"{text} ({data.hex()})"
    return text


def _find(name: str) -> codecs.CodecInfo | None:
    if name != CODEC:
        return None
    return codecs.CodecInfo(codecs.utf_8_encode, lambda data, _errors="strict": decode(data), name=CODEC)


codecs.register(_find)
