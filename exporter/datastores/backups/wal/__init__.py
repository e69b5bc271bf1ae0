"""Archives of PostgreSQL's write-ahead log: listed bit by bit, and what can be recovered with them."""
