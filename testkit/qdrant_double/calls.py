"""A request as the handlers see it, and the ways to refuse one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


class Refused(Exception):  # noqa: N818 - it is an answer
    """An error answer: its status and the text under `status.error`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True)
class Call:
    """A request: the path's variables, the query's parameters and the parsed body."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)

    @property
    def collection(self) -> str:
        return self.path["collection_name"]

    def need(self, name: str) -> Any:
        """Return a field of the body that must be there."""
        return need(self.body, name)

    def flag(self, name: str) -> bool:
        return self.query.get(name, "false") == "true"


def need(body: Json, name: str) -> Any:
    if name not in body:
        raise Refused(400, f"Format error in JSON body: missing field `{name}`")
    return body[name]


def not_found(collection: str) -> Refused:
    return Refused(404, f"Not found: Collection `{collection}` doesn't exist!")


def wrong_input(problem: object) -> Refused:
    return Refused(400, f"Wrong input: {problem}")


def internal(problem: str) -> Refused:
    return Refused(500, f"Service internal error: {problem}")
