"""What a user expects of a PostgreSQL server; what differs is drift."""

from pydantic import BaseModel, ConfigDict


class Expectations(BaseModel):
    """What is expected; nothing that is left out is checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")
