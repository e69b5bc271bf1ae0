"""Query files become queries, and rows become samples and outcomes of checks; no I/O but reading these files."""
