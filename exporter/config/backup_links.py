"""What sets of backups name outside of themselves: each mistake with its key below the place's."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from exporter.config.backup_address import is_bucket
from exporter.config.backup_files import is_folder
from exporter.config.backup_policy import BackupSet, Format
from exporter.config.backup_rules import BASES, Problem, set_problems

_ANY: tuple[Format, ...] = ("auto", "report")  # of every store
_ARRANGED: tuple[Format, ...] = (*BASES, "wal")  # whose tools name what they keep
_MOST = 20  # names in a message


@dataclass(frozen=True)
class Known:
    """What there is to name.

    stores: the store of each target, by its name. formats: of the targets that hold data, the formats that a backup of
    it may have beside those of every store. buckets: the targets that have buckets. sets: those of each place.
    """

    stores: Mapping[str, str]
    formats: Mapping[str, Collection[Format]]
    buckets: Collection[str]
    sets: Mapping[str, Sequence[BackupSet]]

    @cached_property
    def named(self) -> Mapping[tuple[str, str], BackupSet]:
        """Return each set by the names of its place and its own, the first of equal ones."""
        found: dict[tuple[str, str], BackupSet] = {}
        for place, sets in self.sets.items():
            for one in sets:
                found.setdefault((place, one.name), one)
        return found

    @cached_property
    def originals(self) -> Mapping[str, str]:
        """Return what each set that is a copy is a copy of: PLACE/SET to PLACE/SET or TARGET/BUCKET."""
        found = ((f"{place}/{one.name}", one.copy_of) for place, sets in self.sets.items() for one in sets)
        return {name: original for name, original in found if original is not None}


def sets_problems(place: str, known: Known) -> Iterator[Problem]:
    """Yield each mistake in the sets of a place."""
    sets = known.sets[place]
    seen: set[str] = set()
    for index, one in enumerate(sets):
        if one.name in seen:
            yield ("sets", index, "name"), f"two sets of this place have the name {one.name!r}"
        seen.add(one.name)
        for key, problem in (
            *set_problems(one),
            *_of(one, known),
            *_base(place, one, known),
            *_copy_of(place, one, known),
        ):
            yield ("sets", index, *key), problem


def _of(one: BackupSet, known: Known) -> Iterator[Problem]:
    store = known.stores.get(one.of)
    if store is None:
        yield ("of",), f"no target is named {one.of!r}; there are {listed(known.formats)}"
    elif one.of not in known.formats:
        yield ("of",), f"a target of {store} holds no data of which there are backups; {listed(known.formats)} do"
    elif one.format not in (*_ANY, *known.formats[one.of]):
        has = " or ".join((*_ANY, *known.formats[one.of]))
        yield ("format",), f"{one.of!r} is a target of {store}, whose backups have the format {has}"


def _base(place: str, one: BackupSet, known: Known) -> Iterator[Problem]:
    if one.base is None or one.format != "wal":
        return
    base = known.named.get((place, one.base))
    if base is None:
        problem = f"no set of this place is named {one.base!r}"
    elif base.format not in BASES:
        problem = f"format {base.format} is none of base backups, as {', '.join(BASES)} are"
    elif base.of != one.of and base.of in known.formats:  # else that is the mistake
        problem = f"it has backups of {base.of!r}, and this is the WAL of {one.of!r}"
    else:
        return
    there = listed(other.name for other in known.sets[place] if other.format in BASES and other.of == one.of)
    yield ("base",), f"{problem}; base backups of {one.of!r} are in {there}"


def _copy_of(place: str, one: BackupSet, known: Known) -> Iterator[Problem]:
    if one.copy_of is None or one.format == "report":
        return
    name, slash, part = one.copy_of.partition("/")
    if not slash:
        yield ("copy_of",), "expected PLACE/SET, or TARGET/BUCKET of a target of minio"
    elif name in known.sets:
        yield from _of_set(place, one, known)
    elif name in known.buckets:
        yield from _of_bucket(one, name, part)
    elif name in known.stores:
        yield ("copy_of",), f"a target of {known.stores[name]} has neither sets nor buckets"
    else:
        there = listed((*known.sets, *known.buckets))
        yield ("copy_of",), f"no target is named {name!r}; sets and buckets have {there}"


def _of_set(place: str, one: BackupSet, known: Known) -> Iterator[Problem]:
    name, _, part = (one.copy_of or "").partition("/")
    original = known.named.get((name, part))
    if original is None:
        problem = f"{name!r} has no set {part!r}; there are {listed(other.name for other in known.sets[name])}"
    elif circle := _circle(f"{place}/{one.name}", known.originals):
        problem = f"it is a copy of itself: {' of '.join(circle)}"
    elif original.of != one.of and original.of in known.formats:  # else that is the mistake
        problem = f"the original has backups of {original.of!r}, this set those of {one.of!r}"
    elif original.format == "report":
        problem = "the original holds reports, of which the newest one counts: there is nothing to compare"
    elif original.format != one.format and {original.format, one.format} & {*_ARRANGED}:
        problem = f"format {original.format} of the original and {one.format} of this set name files differently"
    else:
        return
    yield ("copy_of",), problem


def _circle(start: str, originals: Mapping[str, str]) -> Sequence[str]:
    """Return the sets on the way from a set back to itself, empty where its originals do not lead there."""
    way = dict.fromkeys([start])
    one = originals.get(start, "")
    while one in originals and one not in way:
        way[one] = None
        one = originals[one]
    return [*way, start] if one == start else []


def _of_bucket(one: BackupSet, server: str, bucket: str) -> Iterator[Problem]:
    if not is_bucket(bucket):
        yield ("copy_of",), "after the slash comes the name of a bucket: 3 to 63 letters, digits, '.', '-' and '_'"
    if one.of != server:
        yield ("copy_of",), f"a bucket of {server!r} is no backup of {one.of!r}"
    if one.files != "**" and not is_folder(one.files):
        yield ("files",), "the copy of a bucket is a whole folder: its name and a slash; of all in the place, **"
    for key in ("keep", "since"):
        if key in one.model_fields_set:
            yield (key,), "the copy of a bucket is one backup: it does not reach back"


def listed(names: Iterable[str]) -> str:
    """Return names for a message, the first ones of many."""
    found = sorted(names)
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return ", ".join(found[:_MOST]) + more or "none"
