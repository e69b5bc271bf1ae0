"""Compare answers by their shape: the same keys and types, whatever the values."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

LONG_NUMBER = 10  # digits; such a key is a peer's id, another one in each run


def differences(recorded: Any, answered: Any, place: str = "$") -> list[str]:
    """Return where two JSON values differ in shape; each element of a list must be like some recorded one."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        return list(_in_mapping(_named(recorded), _named(answered), place))
    if isinstance(recorded, list) and isinstance(answered, list):
        return list(_in_list(recorded, answered, place))
    if type(recorded) is not type(answered):
        return [f"{place}: {_kind(recorded)} recorded, {_kind(answered)} answered"]
    return []


def metric_shape(text: str) -> dict[str, tuple[str, set[tuple[str, ...]]]]:
    """Return each family's type and the label names of its samples."""
    return {
        family.name: (family.type, {(sample.name, *sorted(sample.labels)) for sample in family.samples})
        for family in text_string_to_metric_families(text)
    }


def _in_mapping(recorded: dict[str, Any], answered: dict[str, Any], place: str) -> Iterator[str]:
    for key in recorded.keys() - answered.keys():
        yield f"{place}.{key}: missing"
    for key in answered.keys() - recorded.keys():
        yield f"{place}.{key}: not recorded"
    for key in recorded.keys() & answered.keys():
        yield from differences(recorded[key], answered[key], f"{place}.{key}")


def _in_list(recorded: list[Any], answered: list[Any], place: str) -> Iterator[str]:
    if bool(recorded) != bool(answered):
        yield f"{place}: {len(recorded)} elements recorded, {len(answered)} answered"
    if not recorded:
        return
    for number, one in enumerate(answered):
        tries = [differences(other, one, f"{place}[{number}]") for other in recorded]
        yield from min(tries, key=len)


def _named(mapping: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping with what is keyed by peer as one list."""
    peers = [key for key in mapping if key.isdigit() and len(key) > LONG_NUMBER]
    others = {key: value for key, value in mapping.items() if key not in peers}
    return others | ({"#": [mapping[key] for key in peers]} if peers else {})


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
