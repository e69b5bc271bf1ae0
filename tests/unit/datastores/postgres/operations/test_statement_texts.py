"""What may be shown of a statement's text: no constant, no comment, no secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.datastores.postgres.operations.statement_texts import HELD, LONGEST, shown

SECRET = "4111111111111111"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT  a,\n\tb FROM t WHERE c = $1", "SELECT a, b FROM t WHERE c = $1"),
        ("/* user=eve */ SELECT 1 -- bob\n", HELD.join(("SELECT ", ""))),
        ("/* user=eve */ SELECT $1 -- it's bob's\n, b", "SELECT $1 , b"),
        ("SELECT/* a /* nested */ secret */$1", "SELECT $1"),
        ("SELECT $1 /* never ends", "SELECT $1"),
        ("SELECT $1 -- ends with the line\r, $2", "SELECT $1 , $2"),
        ('SELECT "a -- no comment", "/* ""nor"" this */", "it\'s 5  $x$" FROM t1', None),
        ("SELECT a FROM t GROUP BY 1, 2 ORDER BY 10", None),
        ("SELECT a::numeric(10, 2), b::varchar(255), c::character varying(20)", None),
        ("(SELECT $1) UNION (SELECT x$y FROM a1.b_2)", None),
        ("WITH x AS (SELECT $1) SELECT * FROM x", None),
        ("CALL charge($1)", None),
        ("REFRESH MATERIALIZED VIEW totals", None),
        ("SELECT b; SET app.token TO sk_live", "SELECT b"),
        ("SELECT a FROM t WHERE n IN ($1 /*, ... */)", "SELECT a FROM t WHERE n IN ($1 )"),
        ("", ""),
        ("-- nothing", ""),
    ],
)
def test_normalised_text_is_shown_without_comments(text: str, expected: str | None) -> None:
    assert shown(text) == (text if expected is None else expected)


@pytest.mark.parametrize(
    "text",
    [
        f"CALL charge({SECRET})",
        f"call/**/charge(.{SECRET})",
        f"SELECT '{SECRET}'",
        f"SELECT E'\\'{SECRET}'",
        f"SELECT U&'{SECRET}' UESCAPE '!'",
        f"SELECT B'{SECRET}'",
        f"SELECT $${SECRET}$$",
        f"SELECT $tag${SECRET}$tag$",
        f"SELECT \"a\", '{SECRET}'",
        f'SELECT "a""{SECRET}',
        f"SELECT a FROM t WHERE card = {SECRET}",
        f"SELECT a FROM t ORDER BY {SECRET}",
        f"SELECT numeric({SECRET})",
        f"SELECT 0x{SECRET}",
        f"SELECT -{SECRET}.5e3",
        f"DO $$ BEGIN PERFORM {SECRET}; END $$",
        f"ALTER ROLE x PASSWORD '{SECRET}'",
        f"ALTER ROLE x SET app.token TO sk_{SECRET}",
        f"SET app.token TO sk_{SECRET}",
        f"SET app.token = sk_{SECRET}",
        f"NOTIFY c{SECRET}",
        f"EXECUTE p({SECRET})",
        f"PREPARE TRANSACTION 'g{SECRET}'",
        f"EXPLAIN SELECT a FROM t WHERE b = {SECRET}",
        f"CREATE USER MAPPING FOR x SERVER y OPTIONS (password '{SECRET}')",
        f"COPY t FROM '/{SECRET}'",
        f"/* a */ -- b\n SET x TO y{SECRET}",
        f"({SECRET})",
    ],
)
def test_text_that_is_not_normalised_is_withheld(text: str) -> None:
    assert SECRET not in shown(text)
    assert shown(text).endswith(HELD)


@given(st.text(alphabet="/*-\n '\"$;(a1", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    assert not set(shown(text).removesuffix(HELD)) & set("'\n")


@pytest.mark.parametrize("part", ["(", "/*", "--", '"', "1,", "SELECT ", "/* */", "BY 1,", "$", " ", '""'])
def test_a_long_text_takes_no_longer_than_its_length(part: str) -> None:
    """Each would take for ever if anything was looked at again and again."""
    assert len(shown("SELECT " + part * 1_000_000)) <= LONGEST + len(HELD)
