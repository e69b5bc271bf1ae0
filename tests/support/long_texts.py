"""Give long texts to whatever reads a server's or a user's words, and name who does so; who waits ends it."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from exporter import versions
from exporter.config.libpq import conninfo, passfile
from exporter.config.targets import Globs
from exporter.datastores.neo4j.operations import quantity
from exporter.datastores.postgres.operations.settings import Setting, meets
from exporter.datastores.postgres.sql_text import first_word
from exporter.datastores.postgres.user_queries import harmful_call
from exporter.datastores.prometheus_text import parse
from exporter.errors import ConfigError, QueryError
from exporter.exposition import negotiation
from exporter.logs import visible
from exporter.queries import conditions
from exporter.queries.postgres_exporter import loader, values
from exporter.units import parse_bytes, parse_duration

LENGTH = 50_000
_SETTING = Setting("work_mem", "4096", "kB", "integer")

READERS: Mapping[str, Callable[[str], object]] = {
    "a value": values.number,
    "a duration of queries.yaml": values.milliseconds,
    "a label": values.label_text,
    "runonserver": loader._version,  # noqa: SLF001 - the file around it would be cut short
    "a query's database": lambda text: loader._database_label(text, ["datname"]),  # noqa: SLF001 - the same
    "a version": versions.version_key,
    "a range of versions": lambda text: versions.version_satisfies("15", text),
    "an extension": lambda text: conditions.Conditions(extension=text),
    "a setting": lambda text: meets(_SETTING._replace(setting=text), "4MB"),
    "an expected setting": lambda text: meets(_SETTING, text),
    "a setting's unit": lambda text: meets(_SETTING._replace(unit=text), "4MB"),
    "a quantity": quantity,
    "a duration": parse_duration,
    "a size": parse_bytes,
    "a connection string": conninfo.conninfo,
    "several of them": conninfo.split_targets,
    "a line of passwords": passfile._fields,
    "Accept": negotiation.choose_format,
    "Accept-Encoding": negotiation.accepts_gzip,
    "a name": lambda text: Globs(include=("*a*b*a*b*a*b*1*.*c",)).matches(text),
    "a glob": lambda text: Globs(include=(text[:1000],)).matches("ab1" * 1000),
    "a metrics page": lambda text: list(parse(f"a {text}\na{{{text[:16_000]}\n".encode(), ("a",))),
    "a statement": first_word,
    "a call in a statement": lambda text: harmful_call(f"pg_stat_{text}"),
    "a line of the log": visible,
}
_PIECES = (
    "1", "a", " ", "-", ".", ":", ",", ";", "=", "\\", "'", '"', "{", "(", "[", "*", "%", "/", "<", "²", "\n", "\x1b",
    "1.", "1:", "1 ", "1e", "1s", "0x", "a=", 'a="', "a='", "\\a", "+-", "--", "/*", "*/", ";q=1", ">=", "1:11:11",
    "1 day ", "current_database() ", "current_database ( ", "::", ",postgres", ",host=", ",postgresql://", "_reset",
)  # fmt: skip
TEXTS = tuple(piece * (LENGTH // len(piece)) + end for piece in _PIECES for end in ("", "!", "1", " 1"))


def main() -> None:
    for name, read in READERS.items():
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        for text in TEXTS:
            with suppress(ValueError, QueryError, ConfigError):
                read(text)
    sys.stdout.write("all\n")


if __name__ == "__main__":
    main()
