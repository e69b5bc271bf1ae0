"""Whether a text is a URL, before a client takes it apart and prints the parts."""

import re
from urllib.parse import urlsplit

NO_URL = "not a URL; special characters of a password are written as %40 and the like"
PLACE = re.compile(r"(\[[^][]*\]|[^][:]*)(:\d{0,5})?")  # of a server: its name or address, and its port


def is_url(text: str) -> bool:
    """Tell whether it is one, also when a password ends it early: clients would print the rest as a host or a port."""
    try:
        parts = urlsplit(text)
        text.encode()
    except ValueError:
        return False
    places = parts.netloc.rpartition("@")[2].split(",")  # PostgreSQL takes several
    cut_off = "@" not in parts.netloc and "@" in parts.path + parts.fragment
    return not cut_off and all(PLACE.fullmatch(place) for place in places)
