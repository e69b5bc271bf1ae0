"""Globs below a place: none reaches out of it, none says something else than it seems to."""

import re
from fnmatch import translate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.config.backup_files import is_folder, valid_file, valid_glob


@pytest.mark.parametrize(
    "glob",
    [
        "apex_full_*.dump", "globals_*.sql*", "daily/*.dump", "pgbackrest/backup/demo/", "**/*.dump", "a/**/b/*", "**",
        "apex_[0-9][0-9].dump", "a[!x]b", "a[]]b", "a[!]]b", "a[[]b", "a b/é.dump", "..a/b..", "a]b", "{a}", "-x", "*",
    ],
)  # fmt: skip
def test_valid_glob_of_what_matches_files_passes(glob: str) -> None:
    assert valid_glob(glob) == glob


BELOW = "it lies below the place: "
BRACKET = "a bracket is opened and not closed before the next slash"


@pytest.mark.parametrize(
    ("glob", "problem"),
    [
        ("", "expected a glob such as daily/*.dump, or a folder"),
        ("/", "expected a glob"),
        ("/etc/passwd", BELOW + "write it without the leading slash"),
        ("..", BELOW),
        ("../x", BELOW),
        ("a/../b", BELOW),
        ("a/..", BELOW),
        ("./a", BELOW),
        ("a//b", BELOW),
        ("a//", BELOW),
        ("a\\b", "a backslash separates and escapes nothing"),
        ("a\0b", "it has a control character"),
        ("a\nb", "it has a control character"),
        ("a" * 1025, "it has more than 1024 bytes"),
        ("é" * 513, "it has more than 1024 bytes"),
        ("a[b", BRACKET),
        ("a[]", BRACKET),
        ("a[!]", BRACKET),
        ("a[b/c]d", BRACKET),
        ("[" * 1024, BRACKET),
        ("a[z-a]", "[z-a] has a range that ends before it begins"),
        ("a**", "'**' stands alone between slashes: **/*.dump"),
        ("**.dump", "'**' stands alone"),
        ("a/***/b", "'**' stands alone"),
    ],
)
def test_valid_glob_of_a_wrong_one_says_what_is_right(glob: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        valid_glob(glob)

    assert str(caught.value).startswith(problem)


def test_valid_file_of_a_folder_is_refused() -> None:
    assert valid_file(".datatier") == ".datatier"
    with pytest.raises(ValueError, match="it is a file: no slash at its end"):
        valid_file("mounted/")


@pytest.mark.parametrize(
    ("glob", "expected"), [("a/b/", True), ("a/b", False), ("a/*/", False), ("**", False), ("a[bc]/", False)]
)
def test_is_folder_of_a_glob_is_false(glob: str, *, expected: bool) -> None:
    assert is_folder(glob) is expected


@given(glob=st.text("ab/.*?[]!-^\\", max_size=12))
@example(glob="[!]]")
@example(glob="[]-a]")
def test_valid_glob_of_any_text_compiles_or_is_refused(glob: str) -> None:
    """What passes can be matched, and lies below the place."""
    try:
        valid_glob(glob)
    except ValueError:
        return

    for part in glob.removesuffix("/").split("/"):
        re.compile(translate(part))
        assert part not in ("", ".", "..")
