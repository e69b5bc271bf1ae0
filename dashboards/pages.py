"""All pages."""

from dashboards.exporter import EXPORTER
from dashboards.minio import MINIO
from dashboards.neo4j import NEO4J
from dashboards.overview import OVERVIEW
from dashboards.postgres import POSTGRES
from dashboards.qdrant import QDRANT

PAGES = (OVERVIEW, POSTGRES, QDRANT, NEO4J, MINIO, EXPORTER)
