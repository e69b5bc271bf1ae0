"""Responses: plain text, a page sent in blocks, and a gzip stream made of a cached and a fresh part."""

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


def plain_response(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text + "\n", status, headers, media_type="text/plain")


class BlocksResponse(Response):
    """Send blocks one after another, each when the transport has room for it, without joining them."""

    def __init__(self, blocks: Sequence[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(headers={**headers, "Content-Length": str(sum(map(len, blocks)))})
        self._blocks = blocks

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        for block in self._blocks[:-1]:
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": self._blocks[-1]})


_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # deflate, no name, no time, fastest, unknown system
_RAW = -zlib.MAX_WBITS


class Deflated(NamedTuple):
    """Hold the first part of a gzip stream, and what its trailer needs: checksum and size of the plain text."""

    data: bytes
    checksum: int
    size: int


def deflate(blocks: Iterable[bytes]) -> Deflated:
    """Compress the first part; level 1 takes a fifth of the time of level 9."""
    deflater = zlib.compressobj(1, wbits=_RAW)
    data, checksum, size = [], 0, 0
    for block in blocks:
        data.append(deflater.compress(block))
        checksum = zlib.crc32(block, checksum)
        size += len(block)
    return Deflated(b"".join([*data, deflater.flush(zlib.Z_FULL_FLUSH)]), checksum, size)


def gzipped(first: Deflated, rest: bytes) -> bytes:
    """Complete a gzip stream with its second part."""
    deflater = zlib.compressobj(1, wbits=_RAW)
    data = deflater.compress(rest) + deflater.flush()
    end = struct.pack("<LL", zlib.crc32(rest, first.checksum), (first.size + len(rest)) & 0xFFFFFFFF)
    return b"".join((_HEADER, first.data, data, end))
