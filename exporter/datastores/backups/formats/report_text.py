"""What the report of a job says: JSON that a script wrote, perhaps with a mistake."""

import json
import math
from datetime import datetime
from typing import Any, NamedTuple

from exporter.logs import visible

MOST_BYTES = 64 * 1024
_SANE = (946_684_800.0, 4_102_444_800.0)  # 2000 to 2100; outside lie milliseconds, and clocks that were never set
_LONGEST = 100 * 365.25 * 86400.0
_DIGITS = 30  # of the longest number
_CHARACTERS = 300  # of a message


class Report(NamedTuple):
    """What a report says; with a fault nothing of it counts. whole: it is JSON, so nobody is still writing it."""

    ok: bool = False
    finished: float = 0.0
    seconds: float | None = None
    message: str = ""
    fault: str = ""
    whole: bool = True


def parse_report(content: bytes) -> Report:
    """Read a report, whatever it may be."""
    if len(content) > MOST_BYTES:
        return Report(fault="larger than 64 KiB")
    try:
        said = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_object, parse_int=_number, parse_float=_number,
            parse_constant=_number,
        )  # fmt: skip
    except _ReportError as error:
        return Report(fault=str(error))
    except (ValueError, RecursionError):
        return Report(fault="no JSON that can be read" if content else "it is empty", whole=False)
    try:
        return _report(said)
    except _ReportError as error:
        return Report(fault=str(error))


def _report(said: object) -> Report:
    if not isinstance(said, dict):
        raise _ReportError("no JSON object")
    ok, seconds, texts = said.get("ok"), said.get("seconds"), [said.get(key) for key in ("message", "source")]
    if not isinstance(ok, bool):
        raise _ReportError("ok must be true or false" if "ok" in said else "ok is missing")
    if "finished" not in said:
        raise _ReportError("finished is missing")
    if seconds is not None and not (isinstance(seconds, float) and 0 <= seconds < _LONGEST):
        raise _ReportError("seconds must be a number, 0 or more")
    for key, text in zip(("message", "source"), texts, strict=True):
        if not isinstance(text, str | None):
            raise _ReportError(f"{key} must be a text")
    source = f" ({texts[1]})" if texts[1] else ""
    return Report(ok, _finished(said["finished"]), seconds, _shortened((texts[0] or "") + source))


def _finished(value: object) -> float:
    time = math.nan
    if isinstance(value, float):
        time = value
    elif isinstance(value, str) and len(value) <= _DIGITS + len("2026-11-30"):
        try:
            moment = datetime.fromisoformat(value)
            time = moment.timestamp() if moment.tzinfo else math.nan
        except (ValueError, OverflowError):
            time = math.nan
    if not _SANE[0] <= time < _SANE[1]:
        raise _ReportError("finished must be a time with its zone, such as 2026-11-30T02:14:00Z, or Unix seconds")
    return time


def _shortened(text: str) -> str:
    text = visible(" ".join(text[: 2 * _CHARACTERS].split()))
    return text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "…"


class _ReportError(Exception):
    """Say what is wrong with a report that is JSON."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _ReportError(f"{_shortened(key)} is there twice")
        found[key] = value
    return found


def _number(text: str) -> float:
    if len(text) > _DIGITS or not math.isfinite(float(text)):
        raise _ReportError(f"{text[:_DIGITS]} is no number that can be used")
    return float(text)
