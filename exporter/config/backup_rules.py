"""Which keys of a policy and of a set go together: each mistake with its key below the set's."""

from collections.abc import Callable, Iterator

from exporter.config.backup_files import has_wildcards, is_folder
from exporter.config.backup_policy import TIERS, BackupPolicy, BackupSet, Format
from exporter.config.documents import KeyPath
from exporter.units import span

Problem = tuple[KeyPath, str]

BASES: tuple[Format, ...] = ("basebackup", "pgbackrest", "wal-g", "barman")  # on which WAL is replayed
_REPOSITORIES: tuple[Format, ...] = ("pgbackrest", "wal-g", "barman")  # folders that a tool arranges
_NO_BACKUPS: tuple[Format, ...] = ("wal", "report")  # sets whose files are no backups
_TIMED: tuple[Format, ...] = ("report", *BASES)  # that tell how long a backup took


def policy_problems(policy: BackupPolicy) -> Iterator[Problem]:
    """Yield what in a policy can never be met."""
    for tier in policy.keep.tiers if policy.keep else ():
        if policy.every > TIERS[tier]:
            made, kept = span(policy.every), span(TIERS[tier])
            yield ("keep", tier), f"a backup every {made} leaves some of them without one; every: {kept} or less"


def set_problems(one: BackupSet) -> Iterator[Problem]:
    """Yield what has no meaning in a set, for all that it says itself."""
    yield from policy_problems(one)
    for key, problem in _RULES:
        if key in one.model_fields_set and (message := problem(one)):
            yield (key,), message


def _size(one: BackupSet) -> str | None:
    return f"the files of format {one.format} are no backups, whose size could be judged" if _other(one) else None


def _encrypted(one: BackupSet) -> str | None:
    return f"format {one.format} does not tell whether they are encrypted" if one.encrypted and _other(one) else None


def _keep(one: BackupSet) -> str | None:
    if one.format == "report":
        return "of reports the newest one counts: nothing is kept"
    if one.format == "wal" and one.keep and one.keep.tiers:
        return "an archive of WAL is kept for a duration: 7d"
    return None


def _since(one: BackupSet) -> str | None:
    return "of reports the newest one counts: no period is expected to have one" if one.format == "report" else None


def _duration(one: BackupSet) -> str | None:
    known = ", ".join(_TIMED)
    return None if one.format in _TIMED else f"format {one.format} does not tell how long it took; {known} do"


def _base(one: BackupSet) -> str | None:
    return None if one.base is None or one.format == "wal" else f"it belongs to format wal, not to {one.format}"


def _copy_of(one: BackupSet) -> str | None:
    return "of reports the newest one counts: there is nothing to compare" if one.format == "report" else None


def _files(one: BackupSet) -> str | None:
    if one.format in _REPOSITORIES and not is_folder(one.files):
        return f"format {one.format} reads one folder: its name, without wildcards, and a slash at its end"
    if one.format == "basebackup" and not one.files.endswith("/"):
        return "each base backup is a folder: choose them with a slash at the end, as base/*/ does"
    if one.format == "wal" and not one.files.endswith("/") and not has_wildcards(one.files):
        return "an archive is a folder, with a slash at its end, or a glob of its files"
    if one.format == "report" and not one.files.endswith(".json"):
        return "reports are JSON files: name one, or a glob of them, that ends with .json"
    return None


def _other(one: BackupSet) -> bool:
    return one.format in _NO_BACKUPS


_RULES: tuple[tuple[str, Callable[[BackupSet], str | None]], ...] = (
    ("files", _files),
    ("size", _size),
    ("encrypted", _encrypted),
    ("keep", _keep),
    ("since", _since),
    ("duration", _duration),
    ("base", _base),
    ("copy_of", _copy_of),
)
