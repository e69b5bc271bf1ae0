"""Messages of the protocol: written, taken out of a buffer, and weighed before they are kept."""

from collections.abc import Mapping

from exporter.errors import QueryError

SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)
LOGIN_BYTES = 256 * 1024  # that a server may send during the login; a real one sends about 600
ANSWER_BYTES = 32 * 1024 * 1024  # of memory for a result, in the objects that are made of it

_VERSION = (3 << 16).to_bytes(4)
_HEADER = 5  # a letter and a length
_MESSAGE_BYTES = 96  # about: what Python keeps beside the bytes of a row or of a parameter
_COLUMN_BYTES = 48
_LETTERS = b"z"[0]
_ROW, _PARAMETER = b"D"[0], b"S"[0]
_DESCRIPTIONS = b"Tt"  # asyncpg keeps these of each statement
_DESCRIPTION_BYTES = 64 * 1024
_WORDS_BYTES = 256 * 1024  # of errors, notices, parameters: all of a response but rows
_WORN_BYTES = 4 * 1024 * 1024


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


def startup(parameters: Mapping[str, str]) -> bytes:
    words = [word.encode() for pair in parameters.items() for word in pair]
    return message(b"", _VERSION + b"\0".join([*words, b"", b""]))


def length_of(header: bytes | bytearray) -> int:
    """Return how many bytes follow a message's header; raise QueryError where it is none."""
    length = int.from_bytes(header[1:_HEADER]) - 4
    if not chr(header[0]).isalnum() or header[0] > _LETTERS or not 0 <= length < 1 << 30:
        raise QueryError("decode", "what answers does not speak PostgreSQL's protocol")
    return length


def take(buffer: bytearray) -> bytes | None:
    """Take the first message out of a buffer, None where the whole of it is not there yet."""
    if len(buffer) < _HEADER:
        return None
    end = _HEADER + length_of(buffer[:_HEADER])
    if end > LOGIN_BYTES:
        raise too_much("before the login ended", LOGIN_BYTES)
    if len(buffer) < end:
        return None
    taken = bytes(buffer[:end])
    del buffer[:end]
    return taken


def too_much(when: str, bound: int) -> QueryError:
    return QueryError("limit", f"the server sent more than {bound // 1024} KiB {when}; the connection was closed")


class Scale:
    """Weigh what a server has sent since the last request, message by message, by the headers alone.

    worn: so many reports of parameters came that the connection is to be replaced: the client may keep them all.
    """

    def __init__(self, bound: int = ANSWER_BYTES) -> None:
        self.worn = False
        self._bound = bound
        self._parameters = 0
        self._weight = 0
        self._words = 0
        self._rest = bytearray()  # of a header that came in pieces
        self._skip = 0  # bytes of a message that are still to come

    def reset(self) -> None:
        """Begin anew with a request."""
        self._weight = self._words = 0

    def add(self, data: bytes) -> None:
        """Weigh the next piece; raise QueryError where it exceeds the bound, or is no message at all."""
        at, end = self._skip, len(data)
        if self._rest:
            at = 0
            data, self._rest = bytes(self._rest) + data, bytearray()
            end = len(data)
        while at + _HEADER + 2 <= end:
            kind, length = data[at], int.from_bytes(data[at + 1 : at + _HEADER]) - 4
            if length < 0:
                raise QueryError("decode", "the server sent what is no message of PostgreSQL's protocol")
            self.weigh(kind, length, int.from_bytes(data[at + _HEADER : at + _HEADER + 2]) if kind == _ROW else 0)
            at += _HEADER + length
        if at < end:
            self._rest, at = bytearray(data[at:]), end
        self._skip = at - end

    def weigh(self, kind: int, length: int, columns: int = 0) -> None:
        """Weigh one message by its header."""
        self._weight += length + _MESSAGE_BYTES + _COLUMN_BYTES * columns
        if kind != _ROW:
            self._weigh_words(kind, length)
        if self._weight > self._bound:
            raise too_much("in answer to one statement", self._bound)

    def _weigh_words(self, kind: int, length: int) -> None:
        self._words += length + _MESSAGE_BYTES
        if kind == _PARAMETER:
            self._parameters += length + _MESSAGE_BYTES
            self.worn = self._parameters > _WORN_BYTES
        if kind in _DESCRIPTIONS and length > _DESCRIPTION_BYTES:
            raise too_much("to describe one statement", _DESCRIPTION_BYTES)
        if self._words > _WORDS_BYTES:
            raise too_much("that are no rows in answer to one statement", _WORDS_BYTES)
