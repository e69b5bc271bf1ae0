"""Watch PostgreSQL, Qdrant, Neo4j and MinIO for Prometheus and for load balancers."""

__version__ = "0.1.0"
