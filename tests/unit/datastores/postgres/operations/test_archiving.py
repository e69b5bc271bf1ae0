"""What is unarchived, by looks at positions, snapshots and times."""

import random
from typing import Any

import pytest

from exporter.datastores.postgres.operations.archiving import Look, Unarchived


def look(now: float, position: float, archived: float | None, **other: Any) -> Look:
    return Look(
        **{"now": now, "position": position, "snapshot": "1:1:", "archived": archived, "archived_at": 0.0, **other}
    )


def test_unarchived_without_a_change_stays_0_however_much_is_written() -> None:
    """An idle server writes checkpoints, and VACUUM and reads write pages, without a transaction that ends."""
    unarchived = Unarchived()

    assert [unarchived.update(look(now, 1000 + now, archived=1000)) for now in (60, 75, 90, 9e6)] == [0, 0, 0, 0]


def test_unarchived_after_a_change_is_counted_from_the_look_before_it() -> None:
    unarchived = Unarchived()

    assert unarchived.update(look(10, 10_000, archived=10_000)) == 0
    assert unarchived.update(look(25, 20_000, archived=10_000, snapshot="2:2:")) == 15
    assert unarchived.update(look(40, 20_000, archived=10_000, snapshot="2:2:")) == 30
    assert unarchived.update(look(55, 30_000, archived=10_000, snapshot="3:3:")) == 45
    assert unarchived.update(look(70, 30_000, archived=25_000, snapshot="3:3:")) == 30
    assert unarchived.update(look(85, 30_000, archived=30_000, snapshot="3:3:")) == 0


def test_unarchived_with_a_transaction_that_ends_out_of_order_sees_it() -> None:
    unarchived = Unarchived()
    unarchived.update(look(10, 1000, archived=1000, snapshot="5:8:5"))

    assert unarchived.update(look(25, 1200, archived=1000, snapshot="8:8:")) == 15


def test_unarchived_at_the_first_look_counts_from_the_last_archived_file() -> None:
    unarchived = Unarchived()

    assert unarchived.update(look(1000, 300_000, archived=1000, archived_at=400)) == 600
    assert unarchived.update(look(1015, 300_000, archived=1000, archived_at=400)) == 615


def test_unarchived_at_the_first_look_is_0_where_the_last_checkpoint_knows_of_no_change() -> None:
    behind_the_header = look(1000, 5000, archived=1000, unchanged=1096)
    later = look(1000, 500_000, archived=1000, unchanged=400_000)
    before = look(1000, 5000, archived=1000, unchanged=900)

    assert Unarchived().update(behind_the_header) == Unarchived().update(before) == 0
    assert Unarchived().update(later) == 1000


def test_unarchived_right_after_a_switch_is_0() -> None:
    """The next segment has a header, and a record of running transactions, before anything is written."""
    assert Unarchived().update(look(1000, 1096, archived=1000)) == 0


def test_unarchived_is_unknown_until_the_archive_is_known() -> None:
    unarchived = Unarchived()

    assert unarchived.update(look(10, 1200, archived=None)) is None
    assert unarchived.update(look(20, 1200, archived=1200)) == 0
    assert unarchived.update(look(30, 1400, archived=None, snapshot="2:2:")) == 10


def test_unarchived_of_a_server_that_was_replaced_begins_anew() -> None:
    """By one that was restored, or made new: what the old one had archived says nothing of it."""
    waiting, done = Unarchived(), Unarchived()
    waiting.update(look(10, 9e9, archived=1e9))
    done.update(look(10, 9e9, archived=9e9))

    assert waiting.update(look(25, 2000, archived=2000, snapshot="2:2:")) == 0
    assert done.update(look(25, 2000, archived=None, snapshot="2:2:")) is None
    assert done.update(look(40, 600_000, archived=1000, snapshot="3:3:", archived_at=30)) == 10


def test_unarchived_with_a_clock_set_back_is_never_negative() -> None:
    unarchived = Unarchived()
    unarchived.update(look(1000, 1000, archived=1000))

    assert unarchived.update(look(900, 1200, archived=1000, snapshot="2:2:")) == 0


def test_unarchived_with_a_segment_completed_between_two_looks_is_0_or_unknown() -> None:
    """The transaction may lie before the archive's end, and what was written after it is little."""
    switched, checkpointed, more = Unarchived(), Unarchived(), Unarchived()
    for unarchived in (switched, checkpointed, more):
        unarchived.update(look(10, 1000, archived=1000))

    assert switched.update(look(25, 2096, archived=2000, snapshot="2:2:")) == 0
    assert checkpointed.update(look(25, 2300, archived=2000, snapshot="2:2:")) is None
    assert more.update(look(25, 4000, archived=2000, snapshot="2:2:")) == 15


def test_unarchived_of_a_few_bytes_at_the_first_look_is_unknown() -> None:
    """A restart, checkpoints and pages that are read for the first time write as much as a small transaction."""
    unarchived = Unarchived()

    assert unarchived.update(look(1000, 1200, archived=1000)) is None
    assert unarchived.update(look(1015, 1300, archived=1000)) is None
    assert unarchived.update(look(1030, 1400, archived=1000, snapshot="2:2:")) == 15
    assert unarchived.update(look(1045, 1400, archived=1400, snapshot="2:2:")) == 0


@pytest.mark.parametrize("seed", range(5))
def test_unarchived_over_a_long_time_is_never_too_low(seed: int) -> None:
    """However much waits: 0 when nothing does, else at least the age of the oldest, which looks apart hide a little."""
    chance = random.Random(seed)
    unarchived, position, archived = Unarchived(), 10_000, 10_000
    unarchived.update(look(0, position, archived))
    waiting: list[tuple[int, int]] = []
    for now in range(1, 5000):
        if chance.random() < 0.7:
            position += 10_000
            waiting.append((now, position))
        if now % 2000 > 1900:
            archived = min(archived + chance.randint(0, 20) * 10_000, position)
        waiting = [one for one in waiting if one[1] > archived]
        seconds = unarchived.update(look(now, position, archived, snapshot=str(position)))

        assert seconds is not None
        assert seconds > now - waiting[0][0] if waiting else seconds == 0
