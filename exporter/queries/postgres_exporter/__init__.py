"""postgres_exporter's queries.yaml, read as it is."""
