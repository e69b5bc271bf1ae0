"""The first word is the one PostgreSQL would take for it, and a long text costs no more than reading it."""

import subprocess
import sys

import pytest

from exporter.datastores.postgres.sql_text import first_word
from exporter.datastores.postgres.user_queries import harmful_call

LONG = 300_000


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("select 1", "SELECT"),
        ("\t\n\f\v\r ((SELECT 1))", "SELECT"),
        ("-- a\n--b\r\nWITH x AS (SELECT 1) TABLE x", "WITH"),
        ("/* CALL */VALUES (1)", "VALUES"),
        ("/* /* SELECT */ SELECT */ CALL charge()", "CALL"),
        ("/*/ SELECT */ CALL charge()", "CALL"),
        ("/***//**/SHOW all", "SHOW"),
        ("-- SELECT\rCALL charge()", "CALL"),
        ("/* -- */ CALL charge() -- */ SELECT", "CALL"),
        ("-- /*\nCALL charge() /* \n*/ SELECT", "CALL"),
        ("SELECT--", "SELECT"),
        ("SELECTED", "SELECTED"),
        ("SELECT_1", "SELECT_1"),
        ("\u00a0SELECT 1", ""),
        ("; SELECT 1", ""),
        ("- - SELECT", ""),
        ("/ * SELECT", ""),
        ("/* SELECT", ""),
        ("/* /* */ SELECT", ""),
        ("-- SELECT", ""),
        ("", ""),
    ],
)
def test_the_first_word(text: str, word: str) -> None:
    """Comments nest, end where the server ends them, and hide nothing behind a word that only seems to be first."""
    assert first_word(text) == word


def test_no_text_takes_longer_than_it_is() -> None:
    """A pattern that tries all ways to split a comment never ends; a process of its own proves that this one does."""
    texts = [
        f"{'-' * LONG} CALL charge()",
        "--\n" * LONG + "CALL charge()",
        "/*" * LONG,
        "/**/" * LONG + "CALL charge()",
        "(" * LONG + "CALL charge()",
        " " * LONG,
        "/" * LONG,
        "S" * LONG,
    ]
    code = "print([first_word(text)[:4] for text in eval(sys.stdin.read())])"
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; from exporter.datastores.postgres.sql_text import *; {code}"],
        input=repr(texts), capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip

    assert ran.stdout.strip() == "['', 'CALL', '', 'CALL', 'CALL', '', '', 'SSSS']"


CALLS = [
    "dblink_exec('x')", "public . dblink_exec         ('x')", "\"dblink_exec\"('x')",
    "dblink_exec/* a * b */('x')", "dblink_exec/* /* a */ b */ -- c\r('x')", "dblink_exec\n--a\n--b\n(1)",
    "lo_create(0)",
    r"""U&"dbl\0069nk_exec" ('x')""", """U&"dbl!0069nk_exec" /**/ UESCAPE '!' ('x')""", "dblink" + " " * 5000 + "(1)",
]  # fmt: skip
NO_CALLS = [
    "dblink",
    "my_dblink(1)",
    "dblinks.a, (1)",
    "a AS dblink FROM t",
    "dblink /* ( */ , (1)",
    '1 AS U&"\\00e9" FROM t',
]


def test_a_harmful_call_is_found_whatever_stands_before_its_parenthesis() -> None:
    assert [text for text in CALLS if harmful_call(f"SELECT {text}") is None] == []
    assert [text for text in NO_CALLS if harmful_call(f"SELECT {text}")] == []
