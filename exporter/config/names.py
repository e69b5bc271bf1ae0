"""Names of targets, groups and sets of backups, which stand in labels and paths as they are."""

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def is_name(value: str) -> bool:
    return _NAME.fullmatch(value) is not None


def valid_name(value: str) -> str:
    """Return a name; raise ValueError for what cannot be one."""
    if not is_name(value):
        raise ValueError(f"{value!r} must start with a letter or digit, then letters, digits, '_', '.' or '-'")
    return value
