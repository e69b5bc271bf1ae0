"""Run a target's queries once, outside the service, and give back what they yield."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from exporter.config.stores import DATABASE_LABELS, Target
from exporter.datastores import open_datastore
from exporter.datastores.base import Datastore
from exporter.errors import QueryError
from exporter.polling.schedule import database_visits
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Query, Value, measured, unsupported
from exporter.settings import read_queries

_TARGET: TypeAdapter[Target] = TypeAdapter(Target)


@dataclass
class Collected:
    """Hold samples by metric name, then by sorted label pairs; errors and findings by query name."""

    info: ServerInfo
    samples: dict[str, dict[tuple[tuple[str, str], ...], Value]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)
    series: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    findings: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def value(self, metric: str, **labels: str) -> float | None:
        """Return one plain sample's value, None when it is not there."""
        value = self.samples.get(metric, {}).get(tuple(sorted(labels.items())))
        assert value is None or isinstance(value, float)
        return value


def target_of(settings: dict[str, Any]) -> Target:
    return _TARGET.validate_python(settings)


async def collect(
    settings: dict[str, Any], only: Iterable[str] | None = None, folders: tuple[Path, ...] = ()
) -> Collected:
    """Open the target, run its queries once (those named in `only`, or all) and close it again."""
    async with open_datastore(target_of(settings)) as datastore:
        return await collect_from(datastore, settings["store"], only, folders)


async def collect_from(
    datastore: Datastore, store: str, only: Iterable[str] | None = None, folders: tuple[Path, ...] = ()
) -> Collected:
    """Run queries once on an open datastore; call it again for what needs two polls."""
    collected = Collected(await datastore.ping())
    wanted = None if only is None else set(only)
    async with datastore.session("fast") as session:
        for query in read_queries([store], folders):
            if query.name not in wanted if wanted is not None else query.when.configured:
                continue
            inside = database_visits([query], await datastore.databases())
            databases = [database for _, database in inside] if query.scope == "database" else [None]
            for database in databases:
                try:
                    if error := unsupported(query, collected.info):
                        raise error  # noqa: TRY301 - one place keeps every kind of failure
                    rows = await session.fetch(query, database)
                    _keep(collected, query, database, list(rows))
                except QueryError as error:
                    kind = collected.unsupported if error.reason == "unsupported" else collected.failures
                    kind[query.name] = f"{error.reason}: {error}"
                except Exception as error:  # noqa: BLE001 - what the poller does, too
                    collected.failures[query.name] = f"{datastore.reason(error)}: {error!r}"
    return collected


def _keep(collected: Collected, query: Query, database: str | None, rows: list[Any]) -> None:
    extra = () if database is None else ((DATABASE_LABELS[query.store], database),)
    families = measured(query.samples(rows, extra), collected.info)
    for outcome in query.outcomes(rows, families):
        collected.statuses[outcome.check] = outcome.status
    collected.findings[query.name] = (*collected.findings.get(query.name, ()), *query.findings_in(rows))
    collected.series[query.name] = collected.series.get(query.name, 0) + sum(f.series for f in families)
    for family in families:
        series = collected.samples.setdefault(family.metric.name, {})
        for labels, value in zip(family.labels, family.values, strict=True):
            if value is not None:
                series[tuple(sorted((*labels, *family.metric.labels.items())))] = value
