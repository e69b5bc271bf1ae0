"""PgBouncer, by its console."""
