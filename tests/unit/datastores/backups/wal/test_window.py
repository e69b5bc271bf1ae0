"""What is missing and the window, against the plain definition over single segments."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.datastores.backup_sets.backup import WalArchive
from exporter.datastores.backups.places.place import Entry
from exporter.datastores.backups.wal.names import segment_name
from exporter.datastores.backups.wal.segments import joined, stretch
from exporter.datastores.backups.wal.window import judged, lineage_of, starts_on
from tests.support.wal_archives import NOW, archived, base

MOST = 600


def found_of(present: set[int], bases: list[int], pieces: int) -> WalArchive:
    """Judge an archive of these segments, listed in so many pieces."""
    entries = [Entry(segment_name(1, number, 256), 16 * 2**20, archived(number)) for number in sorted(present)]
    size = -(-len(entries) // pieces)
    stretches = [stretch(entries[at : at + size], "", bool) for at in range(0, len(entries), size)]
    part = joined(one.parts[""] for one in stretches)
    backups = [base(number) for number in bases]
    line = lineage_of(part, [], backups, NOW)
    return judged(part, line, starts_on(line, backups), None)


@given(
    st.sets(st.integers(0, MOST), min_size=1), st.lists(st.integers(0, MOST), min_size=1, max_size=5), st.integers(1, 4)
)
def test_judged_gaps_and_window_are_those_of_single_segments(present: set[int], bases: list[int], pieces: int) -> None:
    found = found_of(present, bases, pieces)

    missing = [number for number in range(min(bases), max(present)) if number not in present]
    usable = [number for number in sorted(bases) if number in present]
    assert (found.segments, found.gaps) == (len(present), len(missing))
    assert found.missing == tuple(segment_name(1, number, 256) for number in missing[:10])
    if not usable:
        assert (found.recoverable_from, found.recoverable_until) == (None, None)
        return
    end = next(number for number in range(usable[-1], MOST + 2) if number + 1 not in present)
    begin = next(number for number in range(usable[-1], -2, -1) if number - 1 not in present)
    first = min(number for number in usable if number >= begin)
    assert found.recoverable_from == base(first).time
    assert found.recoverable_until == max(archived(end), base(first).time)


def test_judged_alternating_segments_stay_within_bounds() -> None:
    """Segments with a hole after each are the worst case: no two of them make a run."""
    found = found_of(set(range(0, MOST, 2)), [0], 1)

    assert (found.segments, found.gaps, len(found.missing)) == (300, 299, 10)
