"""The extensions of a database, and the names by which their functions are called."""

from collections.abc import Sequence
from typing import NamedTuple

from exporter.errors import QueryError

# Only a superuser makes functions in C. A function in another language may have been added by a user.
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
    """An installed extension; its functions are called by their schema, which may hold functions of users, too.

    functions: those that we call, each with the types of its arguments. A call of exactly these types is never
    taken for one of another function.
    """

    version: str
    schema: str  # quoted where it must be
    usable: bool  # the role may use that schema
    functions: Sequence[str]

    def function(self, signature: str) -> str:
        """Return the qualified name of a function; raise QueryError where the extension does not have it."""
        if signature not in self.functions:
            raise QueryError("unsupported", f"the extension has no function {signature}")
        return f"{self.schema}.{signature.partition('(')[0]}"
