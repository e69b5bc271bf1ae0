"""Whether a text is a URL, and whether the exporter uses each of its parts; messages repeat no part of it."""

import re
from collections.abc import Collection
from urllib.parse import parse_qsl, urlsplit

NO_URL = "not a URL; special characters of a password are written as %40 and the like"
PLACE = re.compile(r"(\[[^][]*\]|[^][:]*)(:\d{0,5})?")  # of a server: its name or address, and its port


def is_url(text: str) -> bool:
    """Return whether a text is a URL.

    A URL that an unescaped character of its password cuts short is none: clients would show the rest of the password
    as a host or a port.
    """
    try:
        parts = urlsplit(text)
        text.encode()
    except ValueError:
        return False
    places = parts.netloc.rpartition("@")[2].split(",")  # PostgreSQL takes several
    cut_off = "@" not in parts.netloc and "@" in parts.path + parts.fragment
    return not cut_off and all(PLACE.fullmatch(place) for place in places)


def unread_part(text: str, read: Collection[str]) -> str | None:
    """Name the first part of a URL beyond its host and port that is not among those that are read."""
    parts = urlsplit(text)
    found = {
        "user": "@" in parts.netloc,
        "path": parts.path not in ("", "/"),
        "query": "?" in text.partition("#")[0],
        "fragment": "#" in text,
    }
    return next((name for name, there in found.items() if there and name not in read), None)


def routing_problem(text: str) -> str | None:
    """Return the problem of the routing context in a Neo4j URL's query, which the driver would reject later."""
    query = urlsplit(text).query
    if query and text.startswith("bolt"):
        return "the query of the URL is for routing, which only neo4j:// does"
    try:
        names = [name for name, value in parse_qsl(query, keep_blank_values=True, strict_parsing=True) if value]
    except ValueError:
        names = []
    if query and (len(names) != len(query.split("&")) or len(set(names)) != len(names) or "address" in names):
        return "the query of the URL is a routing context: name=value, each name once and none of them address"
    return None
