"""Connection strings as PostgreSQL's clients read them."""
