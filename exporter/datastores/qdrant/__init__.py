"""Qdrant, watched over HTTP: raw pages for monitoring, its own client for canary searches alone."""
