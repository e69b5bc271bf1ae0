"""Targets of PostgreSQL: what follows from other targets."""

from exporter.config.stores.postgres import PostgresTarget
from exporter.config.thresholds import Limit


def test_limits_with_an_archive_among_the_backups_are_its_interval() -> None:
    target = PostgresTarget.model_validate({"store": "postgres", "name": "db", "url": "postgresql://m@h/db"})
    linked = target.with_private(_wal_interval=360.0)
    own = linked.model_copy(update={"thresholds": {"unarchived_seconds": Limit(warn=60, fail=None)}})

    assert target.limits == {}
    assert linked.limits == {"unarchived_seconds": Limit(warn=360, fail=720)}
    assert own.limits == own.thresholds
