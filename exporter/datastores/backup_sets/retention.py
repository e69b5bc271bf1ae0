"""Whether backups are kept: a good one in each of the last days, weeks, months and years, or as far back as wanted.

Days are those of the place's zone, weeks are ISO weeks. A period counts once it and the grace after it are over, or
as soon as it has a backup. One without a backup of its own is not missing if the backups before and after it lie no
further apart than its length and the grace: a job that runs about midnight makes one a day, but not one in each day.

Nothing is expected before `since`; without it, before the oldest backup: that a history was deleted shows only with it.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from exporter.config.backup_policy import BackupPolicy, Tier
from exporter.units import span

_NAMED = 5  # missing periods of a tier
_DAY = timedelta(days=1)
_UNITS: dict[Tier, str] = {"daily": "days", "weekly": "weeks", "monthly": "months", "yearly": "years"}


class Kept(NamedTuple):
    """How many periods of a tier must have a backup, and how many have one; `reach`, of a duration, is one period.

    missing: a finding for each of the others, the newest first, and one for those that are too many to name.
    """

    tier: Tier | Literal["reach"]
    expected: int
    retained: int
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """When the good backups were made, the oldest first, as Unix time, and what of them was expected until `now`."""

    times: Sequence[float]
    policy: BackupPolicy
    now: float
    zone: ZoneInfo | None = None

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self.now, self.zone).date()

    def begin(self, day: date) -> float:
        """Return when a day begins; where its midnight was skipped, that is when the clocks were set."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()

    def had(self, begin: float, end: float) -> bool:
        """Return whether a backup was made between two times."""
        index = bisect_left(self.times, begin)
        return index < len(self.times) and self.times[index] < end

    def kept_up(self, begin: float, end: float) -> bool:
        """Return whether the backups about a time without one are no further apart than it and the grace are long."""
        index = bisect_left(self.times, begin)
        if not 0 < index < len(self.times):
            return False
        return self.times[index] - self.times[index - 1] <= end - begin + self.policy.grace_seconds


def kept(history: History) -> list[Kept]:
    """Return what is kept of each tier; nothing without `keep`."""
    keep = history.policy.keep
    if keep is None:
        return []
    reach = [] if keep.reach is None else [_reach(history, keep.reach)]
    return [*reach, *(_of_tier(history, tier, count) for tier, count in keep.tiers.items())]


def _reach(history: History, reach: float) -> Kept:
    """Judge how far back the oldest backup lies: a backup that is due by `every` and grace may replace it."""
    oldest, since, tolerance = next(iter(history.times), None), history.policy.since, history.policy.warn_seconds
    wanted = history.now - reach
    if since is not None and since <= history.today:
        wanted = max(wanted, history.begin(since + _DAY))
    reached = oldest is not None and oldest <= wanted + tolerance
    if since is None or since > history.today or history.now <= wanted + tolerance:
        return Kept("reach", int(reached), int(reached))
    if reached:
        return Kept("reach", 1, 1)
    expected = span(history.now - wanted)
    if oldest is None:
        return Kept("reach", 1, 0, (f"none is there, expected one {expected} old",))
    return Kept("reach", 1, 0, (f"the oldest is {span(history.now - oldest)} old, expected {expected} at least",))


def _of_tier(history: History, tier: Tier, count: int) -> Kept:
    """Judge the newest `count` periods."""
    retained, missing = 0, list[date]()
    for first, begin, end in _expected(history, tier):
        if history.had(begin, end) or history.kept_up(begin, end):
            retained += 1
        elif end + history.policy.grace_seconds <= history.now:
            missing.append(first)
        if retained + len(missing) == count:
            break
    named = [f"no backup of {_name(tier, first)}" for first in missing[:_NAMED]]
    more = [f"and of {len(missing) - _NAMED} more {_UNITS[tier]}"] if len(missing) > _NAMED else []
    return Kept(tier, retained + len(missing), retained, (*named, *more))


class _Period(NamedTuple):
    first: date
    begin: float
    end: float


def _expected(history: History, tier: Tier) -> Iterator[_Period]:
    """Yield the periods that may be expected to have a backup, from the present one back."""
    since = history.policy.since
    first = _first(tier, history.today)
    end = history.begin(_following(tier, first))
    while True:
        begin = history.begin(first)
        if since is None and (not history.times or end <= history.times[0]):
            return
        if since is not None and first < since and (_following(tier, first) <= since or not history.had(begin, end)):
            return
        if begin < end:  # a zone that moved across the date line had no such day
            yield _Period(first, begin, end)
        first, end = _first(tier, first - _DAY), begin


def _first(tier: Tier, day: date) -> date:
    """Return the first day of the period that a day belongs to."""
    match tier:
        case "daily":
            return day
        case "weekly":
            return day - day.weekday() * _DAY
        case "monthly":
            return day.replace(day=1)
        case "yearly":
            return day.replace(month=1, day=1)


def _following(tier: Tier, first: date) -> date:
    """Return the first day of the next period."""
    longest = {"daily": 1, "weekly": 7, "monthly": 31, "yearly": 366}
    return _first(tier, first + longest[tier] * _DAY)


def _name(tier: Tier, first: date) -> str:
    match tier:
        case "daily":
            return first.isoformat()
        case "weekly":
            year, week, _ = first.isocalendar()
            return f"week {year}-W{week:02}"
        case "monthly":
            return f"month {first.year}-{first.month:02}"
        case "yearly":
            return str(first.year)
