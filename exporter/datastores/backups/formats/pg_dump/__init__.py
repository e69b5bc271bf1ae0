"""Archives of pg_dump, a module for each of its formats."""
