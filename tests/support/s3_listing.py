"""An S3 server in memory: it lists names and sends what tests want of it."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, quote, unquote

import httpx

_DATE = "Tue, 01 Dec 2026 00:00:00 GMT"
HEADERS = {"x-amz-request-id": "1", "date": _DATE}


class ListingServer:
    """Answer ListObjectsV2 for sorted names, without delimiter, and GET with the name as content.

    change: what to make of the text of a listing, before it is sent. requests: how many there were.
    """

    def __init__(self, names: Sequence[str], change: Callable[[str], str] = str) -> None:
        self._names = names
        self._change = change
        self.requests = 0

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        query = parse_qs(request.url.query.decode(), keep_blank_values=True)
        if "list-type" not in query:
            name = unquote(request.url.path).split("/", 2)[2]
            return httpx.Response(200, headers={**HEADERS, "etag": "1"}, content=name.encode())
        return httpx.Response(200, headers=HEADERS, text=self._change(self._listing(query)))

    def _listing(self, query: dict[str, list[str]]) -> str:
        prefix, after = query["prefix"][0], (query.get("continuation-token") or query.get("start-after") or [""])[0]
        start = max(bisect_left(self._names, prefix), bisect_right(self._names, after))
        keys = int(query["max-keys"][0])
        shown = [name for name in self._names[start : start + keys] if name.startswith(prefix)]
        truncated = start + keys < len(self._names) and len(shown) == keys
        token = f"<NextContinuationToken>{shown[-1]}</NextContinuationToken>" if truncated else ""
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>
<IsTruncated>{str(truncated).lower()}</IsTruncated>{token}{"".join(map(_contents, shown))}</ListBucketResult>"""


def _contents(name: str) -> str:
    return (
        f"<Contents><Key>{quote(name)}</Key><LastModified>2026-11-30T02:14:00.000Z</LastModified>"
        "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>5</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )
