"""PostgreSQL's operations by name, for what one SQL statement cannot return."""

from exporter.datastores.postgres.operations.registry import OPERATIONS

__all__ = ["OPERATIONS"]
