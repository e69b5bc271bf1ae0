"""How backups of each format lie in a place: one module a format, each a coroutine function of a look."""
