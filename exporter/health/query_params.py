"""The parameters of a request's URL; an unknown one is an error, never ignored."""

from collections.abc import Collection, Iterable

Pairs = Iterable[tuple[str, str]]

_YES, _NO = ("", "1", "true"), ("0", "false")


def parameters(pairs: Pairs, known: Collection[str], repeatable: Collection[str] = ()) -> dict[str, list[str]]:
    """Return the values of each parameter; raise ValueError for an unknown or repeated name.

    A typing error in a load balancer's configuration must not look like a healthy server.
    """
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    if unknown := found.keys() - {*known}:
        raise ValueError(f"unknown parameters: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if twice := [name for name, values in found.items() if len(values) > 1 and name not in repeatable]:
        raise ValueError(f"given more than once: {', '.join(twice)}")
    return found


def known_ones(pairs: Pairs, known: Collection[str]) -> Pairs:
    """Drop unknown parameters: a supervisor that sends them must not end the process for the error in return."""
    return [(name, value) for name, value in pairs if name in known]


def flag(found: dict[str, list[str]], name: str) -> bool:
    """Return whether a parameter is given as ?name, ?name=1 or ?name=true."""
    value = found.get(name, ["0"])[0]
    if value not in (*_YES, *_NO):
        raise ValueError(f"{name}={value}: expected {name}=1 or nothing")
    return value in _YES
