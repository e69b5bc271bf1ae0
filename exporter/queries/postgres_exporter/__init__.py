"""Queries of postgres_exporter's queries.yaml, unchanged."""
