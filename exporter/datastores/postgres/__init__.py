"""PostgreSQL, by asyncpg."""
