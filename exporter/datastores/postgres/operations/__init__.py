"""What SQL alone cannot say about a PostgreSQL server: operations by name."""

from exporter.datastores.postgres.operations.registry import OPERATIONS

__all__ = ["OPERATIONS"]
