"""Base backups of PostgreSQL, a module for each tool that makes them."""
