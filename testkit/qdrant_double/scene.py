"""What a test can make the double pretend."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Scene(BaseModel):
    """One state of affairs; a new scene replaces the old one as a whole. Peers count from 0, which is the double.

    `delay` (seconds) and `refuse` (HTTP status) are by endpoint template, such as `/telemetry` or
    `/collections/{collection_name}`; `*` means every endpoint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: dict[str, Literal["green", "yellow", "grey", "red"]] = Field(default_factory=dict)
    optimizer_error: dict[str, str] = Field(default_factory=dict)
    failed: list[str] = Field(default_factory=list)
    recovery_mode: bool = False
    ready: bool = True
    peers: int = Field(default=1, ge=1)
    dead: list[int] = Field(default_factory=list)
    frozen: list[int] = Field(default_factory=list)
    replica_states: dict[str, dict[int, dict[int, str]]] = Field(default_factory=dict)
    has_leader: bool = True
    pending_operations: int = 0
    delay: dict[str, float] = Field(default_factory=dict)
    refuse: dict[str, int] = Field(default_factory=dict)
    dead_seconds: float = 0.4
    frozen_seconds: float = 9.4

    def delay_of(self, endpoint: str) -> float:
        return self.delay.get(endpoint, self.delay.get("*", 0.0))

    def refusal_of(self, endpoint: str) -> int | None:
        return self.refuse.get(endpoint, self.refuse.get("*"))

    def failed_to_load(self, collection: str) -> bool:
        return self.recovery_mode or collection in self.failed
