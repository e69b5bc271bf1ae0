"""Ten years of backups, with all that happens to them, judged by a second way of counting."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.config.backup_policy import BackupPolicy, Tier
from exporter.datastores.backup_sets.retention import History, kept
from tests.support.observed_sets import HOUR

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe")
KEEP: dict[Tier, int] = {"daily": 400, "weekly": 160, "monthly": 60, "yearly": 7}
NAMES: dict[Tier, str] = {"daily": "%Y-%m-%d", "weekly": "week %G-W%V", "monthly": "month %Y-%m", "yearly": "%Y"}
FIRST, LAST = date(2016, 1, 1), date(2027, 2, 1)  # with 53 weeks in 2020 and 2026, and 29 days in two Februaries


class Span(NamedTuple):
    """A period's name and its time."""

    name: str
    begin: float
    end: float


@cache
def spans(zone: str, tier: Tier) -> Sequence[Span]:
    """Return the periods of all years; where a day begins is looked for in the clock, second by second."""
    days = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days)]
    begins = [_begin(day, ZoneInfo(zone)) for day in days]
    named = groupby(zip(days, begins, strict=True), lambda pair: pair[0].strftime(NAMES[tier]))
    firsts = [(name, next(iter(members))[1]) for name, members in named]
    return [Span(name, begin, end) for (name, begin), (_, end) in pairwise(firsts)]


def _begin(day: date, zone: ZoneInfo) -> float:
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    before, there = noon - 40 * 3600, noon + 16 * 3600
    while there - before > 1:
        middle = (before + there) // 2
        if datetime.fromtimestamp(middle, zone).date() < day:
            before = middle
        else:
            there = middle
    return float(there)


def judged(times: Sequence[float], zone: str, tier: Tier, now: float, grace: float) -> tuple[int, list[str]]:
    """Return how many periods of a tier are expected, and which are missing.

    One is, if no backup's local date lies in it, and the pause between two backups that holds it is too long.
    """
    with_own = {datetime.fromtimestamp(time, ZoneInfo(zone)).strftime(NAMES[tier]) for time in times}
    known = [one for one in spans(zone, tier) if times[0] < one.end and one.begin <= now]
    lacking = set[str]()
    rest = iter([one for one in known if one.name not in with_own])
    one = next(rest, None)
    for before, after in pairwise([*times, float("inf")]):
        while one is not None and one.end <= after:
            assert before < one.begin
            lacking |= {one.name} if after - before > one.end - one.begin + grace else set()
            one = next(rest, None)
    counted = [one.name for one in known if one.end + grace <= now or one.name not in lacking][-KEEP[tier] :]
    return len(counted), [name for name in reversed(counted) if name in lacking]


def history(seed: int, zone: str) -> list[float]:
    """Make a job's ten years: its hour, its jitter, its failures, its holidays, days on which it ran twice."""
    luck = random.Random(seed)
    hour, jitter = luck.uniform(-0.2, 24.2), luck.choice([0.0, 0.1, 1.0, 3.0])
    fails, twice = luck.choice([0.0, 0.01, 0.2]), luck.choice([0.0, 0.05])
    holidays = [(luck.randrange(3700), luck.choice([1, 6, 7, 8, 13, 31, 61, 400])) for _ in range(luck.randrange(6))]
    times: list[float] = []
    for number, day in enumerate(spans(zone, "daily")):
        if luck.random() < fails or any(first <= number < first + length for first, length in holidays):
            continue
        times += [day.begin + (hour + luck.uniform(-jitter, jitter)) * HOUR for _ in range(1 + (luck.random() < twice))]
    return sorted(time for time in times if time >= spans(zone, "daily")[0].begin)


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=25, deadline=None)
@example(seed=616, tail=300, hour=0.0)  # its first backup would lie before the first day
@given(seed=st.integers(min_value=0), tail=st.integers(300, 3700), hour=st.floats(0, 24))
def test_what_is_missing_of_ten_years_is_what_no_backup_lies_in(zone: str, seed: int, tail: int, hour: float) -> None:
    """Whatever the zone, the hour of the job and the moment at which it is judged."""
    now = spans(zone, "daily")[tail].begin + hour * HOUR
    times = [time for time in history(seed, zone) if time <= now]
    if not times:
        return
    policy = BackupPolicy.model_validate({"every": "1d", "keep": KEEP})

    found = {one.tier: one for one in kept(History(times, policy, now, ZoneInfo(zone)))}
    for tier in KEEP:
        expected, lacking = judged(times, zone, tier, now, policy.grace_seconds)
        assert found[tier][:3] == (tier, expected, expected - len(lacking))
        named = tuple(f"no backup of {name}" for name in lacking[:5])
        assert found[tier].missing[:5] == named
