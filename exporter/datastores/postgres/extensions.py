"""The extensions of a database, and how those of their functions that we call are called."""

from collections.abc import Sequence
from typing import NamedTuple

from exporter.errors import QueryError

# Only a superuser makes functions in C. One of another language is not the extension's, whoever put it among its own.
EXTENSIONS = """
SELECT
    extname,
    extversion,
    quote_ident(nspname),
    has_schema_privilege(pg_namespace.oid, 'USAGE'),
    ARRAY(
        SELECT proname || '(' || oidvectortypes(proargtypes) || ')'
        FROM pg_depend
        JOIN pg_proc ON pg_proc.oid = objid
        JOIN pg_language ON pg_language.oid = prolang
        WHERE classid = 'pg_proc'::regclass
            AND refclassid = 'pg_extension'::regclass
            AND refobjid = pg_extension.oid
            AND deptype = 'e'
            AND pronamespace = extnamespace
            AND lanname = 'c'
            AND extname IN ('pg_buffercache', 'pg_stat_statements', 'pgstattuple')
    ) AS functions
FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
"""


class Extension(NamedTuple):
    """An installed extension; its functions are called by their schema, where others may have put theirs beside them.

    functions: those that we call, each with the types of its arguments. A call of exactly these types is never
    taken for one of another function.
    """

    version: str
    schema: str  # quoted where it must be
    usable: bool  # the role may use that schema
    functions: Sequence[str]

    def function(self, signature: str) -> str:
        """Return how one of its functions is called; raise QueryError where the extension has none such."""
        if signature not in self.functions:
            raise QueryError("unsupported", f"the extension has no function {signature}")
        return f"{self.schema}.{signature.partition('(')[0]}"
