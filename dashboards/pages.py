"""All pages."""

from dashboards.backups import BACKUPS
from dashboards.exporter import EXPORTER
from dashboards.minio import MINIO
from dashboards.neo4j import NEO4J
from dashboards.overview import OVERVIEW
from dashboards.postgres import POSTGRES
from dashboards.qdrant import QDRANT

PAGES = (OVERVIEW, POSTGRES, QDRANT, NEO4J, MINIO, BACKUPS, EXPORTER)

# Panels, by page and title, that show "no data" while all is well: each fills when something is wrong.
EMPTY_WHEN_WELL = (
    ("overview", "Firing alerts"),
    ("overview", "Checks that are not well"),
    ("minio", "Full in"),
    ("backups", "Not good"),
)
