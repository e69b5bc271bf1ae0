"""A problem of a YAML file is one line with file, line and key."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from exporter.config.documents import YamlDocument, expand_variables, read_document
from exporter.errors import ConfigError
from tests.support.factories import write


def problem(tmp_path: Path, text: str) -> str:
    """Return the one problem that reading a file has, its path cut off."""
    path = write(tmp_path / "x.yaml", text)
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    [found] = caught.value.problems
    assert "\n" not in found
    return found.removeprefix(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3: a: the key is there twice"),
        ("a:\n  b: 1\n  b: 2\n", ":3: b: the key is there twice"),
        ("a: 1\n- b\n", ":2: expected <block end>, but found '-'"),
        ("- a\n", ":1: expected keys and values, found list"),
        ("text", ":1: expected keys and values, found str"),
        ("a: b: c", ":1: mapping values are not allowed here"),
        ("? [a]\n: 1\n", ":1: a key is plain text"),
        ("\n{{ name }}: 1", ":2: a key is plain text"),
        ("x: 1\na: 2024-13-99\n", ":2: month must be in 1..12"),
        ("a: &a [*a]", ":1: nested too deeply, or an anchor (&) holds an alias (*) of itself"),
        ("a:\n " + "[" * 200 + "]" * 200, ":2: nested too deeply, or an anchor (&) holds an alias (*) of itself"),
        ("a: " + "[" * 1000, ":1: nested too deeply, or an anchor (&) holds an alias (*) of itself"),
        ("a: 1\nb: !!timestamp soon", ":2: not a valid timestamp"),
        ("a: !!int ''", ":1: not a valid int"),
        ("a: !!bool maybe", ":1: not a valid bool"),
        ("a: !!map text", ":1: expected a mapping node, but found scalar"),
        ("a: !!set [b]", ":1: expected a mapping node, but found sequence"),
        (f"a: {'1:' * 400}1.5", ":1: not a valid float"),
        (f"a: {'1:' * 1000}1", ":1: not a number that anybody needs"),
        ('a: 1\nb: "\\ud800"', r":2: an escape such as \ud800 is no character"),
        ("a: 1\nb: {<<: 1}", ":2: << takes keys and values, or a list of such"),
        ("a: {x: 1}\nb: &b {? [y]\n: 1}\nc: {<<: *b}", ":2: a key is plain text"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str, message: str) -> None:
    """YAML's own words, with the line where it happened."""
    assert problem(tmp_path, text) == message


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    """A few lines may stand for more than fits into the machine."""
    levels = [f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in pairwise("abcdefghi")]
    found = problem(tmp_path, "\n".join(["a: &a [x]", *levels]))

    assert found == ": 300000 keys and entries are too many; each alias (*) counts as all that it stands for"


def test_a_problem_is_one_line_and_shows_what_cannot_be_seen(tmp_path: Path) -> None:
    """A zero-width space in a key makes it another key, for no visible reason."""
    path = write(tmp_path / "x.yaml", '"a\u200bb\\n": 1')
    document = read_document(path)
    error = ConfigError([document.error_at(tuple(document.data), "unknown key")])

    assert error.problems == [rf"{path}:1: a\u200bb\n: unknown key"]
    assert str(error) == error.problems[0]


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(ConfigError) as caught:
        read_document(Path("a\0b"))

    assert caught.value.problems == [r"a\x00b: cannot be read: no file can have this name"]


def test_control_characters_are_refused(tmp_path: Path) -> None:
    assert problem(tmp_path, "a: \x01").startswith(": unacceptable character #x0001")


@pytest.mark.parametrize("secret", ["*hunter22", "!hunter22", "!!hunter22"])
def test_a_secret_without_quotes_is_not_repeated(tmp_path: Path, secret: str) -> None:
    """Some first letters have a meaning in YAML; the message explains it and leaves the value out."""
    found = problem(tmp_path, f"\npassword: {secret}")

    assert found.startswith(":2: ")
    assert found.endswith(": quote a value that begins with * or !")
    assert "hunter22" not in found


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / "none.yaml")

    assert caught.value.problems == [f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory"]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / "x.yaml")

    assert caught.value.problems == [f"{tmp_path / 'x.yaml'}: cannot be read: it is not UTF-8 text"]


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    assert read_document(write(tmp_path / "x.yaml", "# nothing yet\n")).data == {}


@pytest.mark.parametrize(
    ("text", "merged"),
    [
        ("b: &b {<<: *a, x: 2}\nc: {<<: *b, y: 3}", {"x": 2, "name": "a", "y": 3}),
        ("b: &b {name: b}\nc: {<<: [*b, *a]}", {"name": "b", "x": 1}),
        ("b: &b {name: b}\nc: {<<: [*a, *b], z: 1}", {"name": "a", "x": 1, "z": 1}),
        ("b: [[&b {<<: *a, name: b}]]\nc: {name: c, <<: *b}", {"name": "c", "x": 1}),
    ],
)
def test_merged_keys_are_no_duplicates(tmp_path: Path, text: str, merged: dict[str, object]) -> None:
    """Overriding what an anchor brings is what anchors are for; of several, the first counts."""
    assert read_document(write(tmp_path / "x.yaml", f"a: &a {{x: 1, name: a}}\n{text}\n")).data["c"] == merged


BEYOND_MEASURE = [
    ("a: " + "[" * 100_000 + "]" * 100_000, ":1: nested too deeply"),
    ("".join(f"{' ' * level}a:\n" for level in range(1000)), ":101: nested too deeply"),
    ("? " * 100_000, ":1: nested too deeply"),
    ("- " * 100_000, ":1: nested too deeply"),
    ("a: 1\nb: " + "{" * 1_000_000, ":2: nested too deeply"),
    ("a: 1\n" * 200_000, ":150000: 300000 keys and entries are too many"),
    ("a: 1\n" * 4_000_000, ": cannot be read: it is larger than 4 MiB"),
    ("a: " + "1:" * 1_000_000 + "1", ":1: not a number that anybody needs"),
    ("a: 1\n" + "#" * 300_000 + "\n]", ":3: did not find expected key"),
]


def test_files_beyond_measure_are_refused(tmp_path: Path) -> None:
    """Before anything is made of them: recursion in C ended the process, and other files took minutes."""
    files = [write(tmp_path / f"{number}.yaml", text) for number, (text, _) in enumerate(BEYOND_MEASURE)]
    code = "for path in argv[1:]:\n try: read_document(Path(path))\n except ConfigError as e: print(e, flush=True)"
    ran = subprocess.run(
        [sys.executable, "-c", f"from sys import argv; from exporter.config.documents import *\n{code}", *files],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    messages = [line.removeprefix(str(file)) for file, line in zip(files, ran.stdout.splitlines(), strict=False)]

    assert [line[: len(problem)] for line, (_, problem) in zip(messages, BEYOND_MEASURE, strict=True)] == [
        problem for _, problem in BEYOND_MEASURE
    ]
    assert ran.returncode == 0, ran.stderr


def test_config_error_of_a_thousand_problems_reports_a_hundred() -> None:
    assert ConfigError([f"{n}" for n in range(1000)]).problems[99:] == ["99", "and 900 more problems"]


def test_braces_that_nothing_closes_take_no_time() -> None:
    """They are text."""
    assert expanded({"a": "${USER}" + "${" * 1_000_000}, USER="me") == {"a": "me" + "${" * 1_000_000}


def test_a_problem_has_the_line_of_the_nearest_key(tmp_path: Path) -> None:
    """A key that is missing has no line, but its parent has."""
    path = write(tmp_path / "x.yaml", "targets:\n  - name: a\n    url: x\n  - name: b\n")
    document = read_document(path)

    assert document.error_at(("targets", 0, "url"), "no") == f"{path}:3: targets.0.url: no"
    assert document.error_at(("targets", 1, "url"), "required") == f"{path}:4: targets.1.url: required"
    assert document.error_at(("nothing",), "required") == f"{path}:1: nothing: required"
    assert document.error_at((), "wrong") == f"{path}:1: wrong"


def expanded(data: dict[str, object], **environment: str) -> object:
    return expand_variables(YamlDocument(Path("x.yaml"), data, {}), environment)


def test_variables_are_replaced_everywhere() -> None:
    """In lists and inside of text, too; what is no text stays what it is."""
    data: dict[str, object] = {"a": "${USER}@${HOST}", "b": ["${HOST}", 5, None], "c": {"d": "$HOST"}}

    assert expanded(data, USER="me", HOST="db") == {"a": "me@db", "b": ["db", 5, None], "c": {"d": "$HOST"}}


def test_a_replaced_value_is_not_replaced_again() -> None:
    """A password may contain anything."""
    assert expanded({"a": "${SECRET}"}, SECRET="${HOME}$${") == {"a": "${HOME}$${"}


def test_two_dollars_are_one() -> None:
    """So one writes the braces themselves."""
    assert expanded({"a": "$${USER}"}, USER="me") == {"a": "${USER}"}


def test_all_unset_variables_are_named_at_once() -> None:
    """An empty variable is set; a default, which this syntax does not have, is not silently text."""
    with pytest.raises(ConfigError) as caught:
        expanded({"a": "${ONE}", "b": {"c": "${TWO:-2}"}, "d": "${EMPTY}"}, EMPTY="")

    assert caught.value.problems == [
        "x.yaml: a: the environment variable ONE is not set",
        "x.yaml: b.c: the environment variable TWO:-2 is not set",
    ]
