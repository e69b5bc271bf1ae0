"""What differs between server versions."""


def at_least(version: str, wanted: str) -> bool:
    return _parts(version) >= _parts(wanted)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removesuffix("-dev").split("."))
