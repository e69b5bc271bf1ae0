"""What users may write, by accident or on purpose, and the reason with which each query fails."""

from exporter.errors import Reason

SCENE = """
CREATE TABLE journal (note text);
CREATE SEQUENCE tickets;
GRANT INSERT, SELECT, UPDATE, DELETE ON journal TO monitor;
GRANT USAGE, UPDATE ON SEQUENCE tickets TO monitor;
GRANT CREATE ON SCHEMA public TO monitor;
CREATE FUNCTION meddle() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('default_transaction_read_only', 'off', false);
    INSERT INTO journal VALUES ('meddled');
    RETURN 1;
END $$;
"""


POISON = """
CREATE FUNCTION poison() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'DEALLOCATE ALL';
    FOR n IN 1..200 LOOP
        EXECUTE format('PREPARE "__asyncpg_stmt_%s__" AS SELECT ''x'' AS path, ''y'' AS name, 2::float8', to_hex(n));
        EXECUTE format('PREPARE "__asyncpg_stmt_%s__" AS SELECT 2', to_hex(n + 200));
    END LOOP;
    RETURN (SELECT count(*) FROM pg_prepared_statements);
END $$;
"""


# What a statement timeout is: a cancellation that can be caught.
FOREVER = """
CREATE FUNCTION forever() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        BEGIN
            PERFORM pg_sleep(60);
        EXCEPTION WHEN query_canceled THEN
            PERFORM set_config('application_name', 'shop', false);
        END;
    END LOOP;
END $$;
"""


MILLION = "SELECT n::text AS name, n::float8 AS value FROM generate_series(1, 1000000) AS n"


HOSTILE: dict[str, tuple[str, Reason]] = {
    "insert": ("WITH row AS (INSERT INTO journal VALUES ('x') RETURNING 1 AS value) SELECT * FROM row", "query"),
    "bare_insert": ("INSERT INTO journal VALUES ('x') RETURNING 1 AS value", "query"),
    "create_table": ("CREATE TABLE mine (value int)", "query"),
    "select_into": ("SELECT 1 AS value INTO mine", "query"),
    "temporary_table": ("CREATE TEMP TABLE mine AS SELECT 1 AS value", "query"),
    "nextval": ("SELECT nextval('tickets')::float8 AS value", "query"),
    "for_update": ("SELECT 1 AS value FROM journal FOR UPDATE", "query"),
    "function": ("SELECT meddle() AS value", "query"),
    "terminate": (
        "SELECT pg_terminate_backend(pid)::int AS value FROM pg_stat_activity WHERE usename = 'postgres'", "query",
    ),
    "dblink": ("SELECT value FROM dblink('dbname=postgres', 'DELETE FROM journal') AS d (value int)", "query"),
    "dblink_quoted": ("""SELECT * FROM public."dblink_exec" /* now */ ('dbname=postgres', 'DELETE FROM t')""", "query"),
    "emit": ("SELECT 'a' AS name, 1 AS value, pg_logical_emit_message(false, 'x', 'y')", "query"),
    "read_file": ("SELECT pg_read_file('/etc/passwd') AS name, 1 AS value", "query"),
    "lo_import": ("SELECT lo_import('/etc/passwd') AS value", "query"),
    "reset": ("SELECT 'a' AS name, 1 AS value, pg_catalog.pg_stat_reset()", "query"),
    "slot": ("SELECT 1 AS value FROM pg_create_physical_replication_slot('x')", "query"),
    "setval": ("SELECT setval('tickets', 7)::float8 AS value", "query"),
    "copy_program": ("COPY (SELECT 1) TO PROGRAM 'touch /tmp/x'", "query"),
    "sleep": ("SELECT 1 AS value FROM pg_sleep(60)", "timeout"),
    "million_rows": (MILLION, "limit"),
    "duplicates": ("SELECT 'a' AS name, n AS value FROM generate_series(1, 2) AS n", "decode"),
    "two_statements": ("SELECT 1 AS value; SELECT 2 AS value", "query"),
    "commit_drop": ("COMMIT; DROP TABLE journal", "query"),
    "commit": ("COMMIT", "query"),
    "set": ("SET default_transaction_read_only = off", "query"),
    "set_and_write": ("SET default_transaction_read_only = off; INSERT INTO journal VALUES ('x')", "query"),
    "set_in_select": (
        "SELECT set_config('transaction_read_only', 'off', true) AS name, nextval('tickets') AS value", "query",
    ),
    "deallocate": ("DEALLOCATE ALL", "query"),
    "dashes": (f"{'-' * 70}\nDEALLOCATE ALL", "query"),
    "nested_comment": ("/* /* */ SELECT */ DEALLOCATE ALL", "query"),
    "carriage_return": ("--\rDEALLOCATE ALL\nSELECT", "query"),
    "huge_label": ("SELECT repeat('x', 1000000) AS name, 1 AS value", "limit"),
    "huge_text": (
        "SELECT repeat('x', 300000) AS text, n::text AS name, 1 AS value FROM generate_series(1, 200) AS n", "limit",
    ),
    "array": ("SELECT 'a' AS name, ARRAY[1, 2] AS value", "decode"),
    "text": ("SELECT 'a' AS name, 'much' AS value", "decode"),
    "syntax": ("SELECT FROM WHERE", "query"),
    "terminal": ("SELECT E'\\x1b[2J\\x07'::int AS value", "query"),
    "no_table": ("SELECT value FROM nowhere", "query"),
    "far_future": ("SELECT 'a' AS name, 1 AS value, date '99999-01-01' AS day", "decode"),
}  # fmt: skip


CLUMSY = {
    "nan": ("SELECT 'a' AS name, 'NaN'::float8 AS value", "NaN"),
    "infinity": ("SELECT 'a' AS name, 'Infinity'::float8 AS value", "+Inf"),
    "null": ("SELECT 'a' AS name, NULL::int AS value UNION ALL SELECT NULL, 1", "1.0"),
    "like_a_label": ("SELECT 'a' AS name, 'b' AS target, 1 AS value", "1.0"),
}


END_THE_SLEEPER = """
DO $$ BEGIN
    WHILE (SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep') = 0 LOOP
        PERFORM pg_sleep(0.05), pg_stat_clear_snapshot();
    END LOOP;
END $$
"""
