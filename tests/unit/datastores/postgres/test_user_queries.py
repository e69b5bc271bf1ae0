"""Calls that a user's statement may not make are found, however they are written."""

import pytest

from exporter.datastores.postgres.user_queries import harmful_call

LONG = "x" * 500


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT dblink('a')", "dblink"),
        ("SELECT public.dblink_exec ('a')", "dblink_exec"),
        ("SELECT \"pg_read_file\" ('a')", "pg_read_file"),
        (f"SELECT pg_read_file /* {LONG} /* nested */ {LONG} */ -- {LONG}\n\r\t ('a')", "pg_read_file"),
        (f"SELECT pg_read_file{'/**/' * 50}('a')", "pg_read_file"),
        ("SELECT pg_read_file, 1, PG_Read_File('a')", "PG_Read_File"),
        ("SELECT /* dblink */ pg_stat_reset()", "pg_stat_reset"),
        ("SELECT pg_stat_reset_single_table_counters(1)", "pg_stat_reset_single_table_counters"),
        ("SELECT pg_stat_statements_reset(1)", "pg_stat_statements_reset"),
        ("SELECT 'dblink('", "dblink"),
        ("SELECT dblink, (1)", None),
        ("SELECT my_dblink(1), dblink$(1), pg_read_files(1)", None),
        ("SELECT pg_stat_get_numscans(1) FROM pg_stat_database", None),
        ("SELECT dblink -- (", None),
        ("SELECT dblink /* ('a')", None),
        ("SELECT 'dblink /*', pg_read_file('a')", "pg_read_file"),
        ("SELECT dblink" + ", dblink" * 19, None),
        ("SELECT dblink" + ", dblink" * 20, "dblink"),
        ("", None),
    ],
)
def test_harmful_calls(sql: str, name: str | None) -> None:
    assert harmful_call(sql) == name
