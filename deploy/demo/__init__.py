"""`make demo`: the exporter on a real PostgreSQL and its replica, under load, with a summary in the terminal."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
