"""Sizes as people write them: 500GiB, 2TB, 8192."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_bytes(value: object) -> float:
    """Return bytes; raise ValueError for anything but a positive size. GB is 10^9 bytes, GiB 2^30."""
    match = _SIZE.fullmatch(str(value).strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None or not 0 < float(match[1]) * unit < math.inf:
        raise ValueError(f"{str(value)!r} is not a size such as 500GiB or 2TB")
    return float(match[1]) * unit


Bytes = Annotated[float, BeforeValidator(parse_bytes)]
