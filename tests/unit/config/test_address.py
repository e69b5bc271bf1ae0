"""The keys for TLS and the URL: what together makes sense, and what does not."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter.config.config import load_config
from exporter.config.stores import Target
from exporter.config.stores.postgres import PostgresTarget
from exporter.errors import ConfigError
from testkit.certificates import Authority, Certificate

TARGET: TypeAdapter[Target] = TypeAdapter(Target)
URLS = {
    "postgres": "postgresql://monitor@db/postgres",
    "pgbouncer": "postgresql://monitor@pool/pgbouncer",
    "neo4j": "bolt://graph",
    "qdrant": "https://search",
    "minio": "https://objects",
}


def target(store: str, url: str = "", **keys: Any) -> Target:
    return TARGET.validate_python({"name": "one", "store": store, "url": url or URLS[store], **keys})


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def ours(authority: Authority) -> Certificate:
    return authority.issue("monitor")


@pytest.mark.parametrize("store", URLS)
def test_any_key_asks_for_tls(store: str, authority: Authority, ours: Certificate) -> None:
    """Every store accepts all of them, and verifies unless verify is false."""
    together: tuple[dict[str, Any], ...] = (
        {"ca_file": authority.file},
        {"cert_file": ours.file, "key_file": ours.key},
        {"server_name": "a.name"},
        {"verify": True},
    )
    for keys in together:
        assert target(store, **keys).tls
        assert target(store, **keys).tls_files.verify
    assert target(store, verify=False).tls
    assert not target(store, verify=False).tls_files.verify


@pytest.mark.parametrize(
    ("store", "url", "tls"),
    [
        ("postgres", "postgresql://db/postgres", False),
        ("postgres", "postgresql://db/postgres?sslmode=verify-full", False),  # by the words of libpq, not ours
        ("postgres", "postgresql://db/postgres?sslrootcert=system", True),  # which asyncpg does not know
        ("neo4j", "bolt://graph", False),
        ("neo4j", "neo4j+s://graph", True),
        ("neo4j", "bolt+ssc://graph", True),
        ("minio", "http://objects", False),
    ],
)
def test_a_url_alone(store: str, url: str, tls: bool) -> None:  # noqa: FBT001 - the answer to a question
    assert target(store, url).tls is tls
    assert target(store, url).tls_files.verify is ("ssc" not in url)


@pytest.mark.parametrize(
    ("store", "url", "keys", "problem"),
    [
        ("minio", "http://objects", {"verify": False}, "verify: TLS needs a URL that starts with https://"),
        ("qdrant", "http://search", {"server_name": "s"}, "server_name: TLS needs a URL that starts with https://"),
        ("neo4j", "bolt+s://graph", {"verify": False}, "bolt+s:// verifies; write bolt+ssc:// for TLS without"),
        ("neo4j", "neo4j+ssc://graph", {"verify": True}, "neo4j+ssc:// does not verify; write neo4j+s://"),
        ("neo4j", "bolt+ssc://graph", {"ca_file": "CA"}, "ca_file has no use where nothing is verified"),
        ("minio", "", {"ca_file": "CA", "verify": False}, "ca_file has no use where nothing is verified"),
        ("minio", "", {"key_file": "CA"}, "key_file needs the cert_file that it belongs to"),
        ("minio", "", {"server_name": ""}, "at least 1 character"),
        ("postgres", "postgresql://db/x?sslmode=require", {"ca_file": "CA"},
         "they mean sslmode=verify-full, the URL says sslmode=require"),
        ("postgres", "postgresql://db/x?sslmode=verify-full", {"verify": False},
         "they mean sslmode=require, the URL says sslmode=verify-full"),
        ("pgbouncer", "postgresql://db/pgbouncer?sslpassword=x", {"ca_file": "CA"},
         "sslpassword in the URL says the same in another way"),
        ("qdrant", "", {"ca_file": "/none.pem"}, "/none.pem cannot be read: No such file"),
    ],
)  # fmt: skip
def test_contradictions(store: str, url: str, keys: dict[str, Any], problem: str, authority: Authority) -> None:
    """Each is an error at start-up; none is silently ignored."""
    given = {name: authority.file if value == "CA" else value for name, value in keys.items()}
    with pytest.raises(ValidationError) as caught:
        target(store, url, **given)

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://monitor:hunter/22@db/postgres",
        "postgresql://monitor:hunter22#@db/postgres",
        "postgresql://monitor:22/hunter@db/postgres",  # 22 looks like a port
        "postgresql://db:54x32/postgres",
        "postgresql://db1:5432,db2:hunter/postgres",
        "postgresql://db/\udc00",
    ],
)
def test_invalid_url_is_rejected_and_not_repeated(url: str) -> None:
    """A client would take half of the password for a host or a port, and print it."""
    with pytest.raises(ValidationError) as caught:
        PostgresTarget.model_validate({"name": "one", "store": "postgres", "url": url})

    [problem] = caught.value.errors(include_url=False, include_input=False, include_context=False)
    assert problem["msg"] == (
        "Value error, not a URL; special characters of a password are written as %40 and the like"
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://monitor:hunter%2F22@db1:5432,[::1]:5433,db3/postgres",
        "postgresql:///postgres?host=/run/postgresql",
        "postgresql://db:/postgres?user=monitor@azure",
    ],
)
def test_every_form_of_libpqs_is_a_url(url: str) -> None:
    assert target("postgres", url).url.get_secret_value() == url


def test_parameters_that_agree_may_be_repeated(authority: Authority) -> None:
    full, encrypted = (f"postgresql://db/x?sslmode={mode}" for mode in ("verify-full", "require"))

    assert target("postgres", full, ca_file=authority.file).tls
    assert target("postgres", encrypted, verify=False).tls


def test_a_problem_names_file_line_and_target(tmp_path: Path) -> None:
    file = tmp_path / "datatier.yaml"
    file.write_text("targets:\n  - {name: a, store: minio, url: 'https://a'}\n  - name: b\n    store: minio\n"
                    "    url: http://b\n    verify: false\n")  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert caught.value.problems == [f"{file}:3: targets.1: verify: TLS needs a URL that starts with https://"]


def test_files_that_are_of_no_use(tmp_path: Path, authority: Authority, ours: Certificate) -> None:
    """The wrong file is found at start-up, and named."""
    other = authority.issue("other")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")

    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"ca_file": empty}, f"{empty} holds no certificate of an authority in PEM"),
        ({"cert_file": ours.file, "key_file": other.key}, f"{ours.file} and {other.key}: not one's key"),
        ({"cert_file": ours.file}, f"{ours.file}: no certificate and key in PEM"),
    )
    for keys, problem in wrong:
        with pytest.raises(ValidationError) as caught:
            target("minio", **keys)

        assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("store", "url", "part"),
    [
        ("minio", "https://objects/tenants/hunter2", "path"),
        ("minio", "https://objects/?hunter2=1", "query"),
        ("minio", "https://objects#hunter2", "fragment"),
        ("minio", "https://monitor:hunter2@objects", "user"),
        ("minio", "https://hunter2@objects", "user"),
        ("qdrant", "https://search/api?hunter2", "query"),
        ("qdrant", "https://search#hunter2", "fragment"),
        ("neo4j", "bolt://graph/hunter2", "path"),
        ("neo4j", "neo4j://monitor:hunter2@graph", "user"),
        ("neo4j", "bolt://graph?policy=hunter2", "query"),
        ("neo4j", "neo4j://graph?policy=a&policy=hunter2", "query"),
        ("neo4j", "neo4j://graph?address=hunter2", "query"),
        ("neo4j", "neo4j://graph?hunter2", "query"),
        ("pgbouncer", "postgresql://monitor@pool/hunter2", "the database pgbouncer"),
        ("pgbouncer", "postgresql://hunter2@pool", "the database pgbouncer"),
    ],
)
def test_no_part_of_a_url_is_quietly_left_out(store: str, url: str, part: str) -> None:
    """A part that would be ignored is an error at the start; the message does not repeat it: it may be a secret."""
    with pytest.raises(ValidationError) as caught:
        target(store, url)

    problems = caught.value.errors(include_url=False, include_input=False, include_context=False)
    messages = [problem["msg"] for problem in problems if store in str(problem["loc"][0]).lower()]
    assert part in "".join(messages)
    assert "hunter2" not in "".join(messages)


@pytest.mark.parametrize(
    ("store", "url"),
    [
        ("minio", "https://objects:9000/"),
        ("qdrant", "https://monitor:hunter2@search/qdrant/"),
        ("neo4j", "neo4j://graph:7687/?policy=europe"),
        ("pgbouncer", "postgresql://monitor@pool?dbname=pgbouncer"),
        ("postgres", "postgresql://monitor@db/postgres"),
    ],
)
def test_the_parts_that_are_read(store: str, url: str) -> None:
    assert target(store, url)


@pytest.mark.parametrize(("patroni", "part"), [("http://db:8008/?a=b", "query"), ("http://db:8008/#a", "fragment")])
def test_the_url_of_patroni(patroni: str, part: str) -> None:
    """It may lead through a proxy, by a path of its own."""
    assert target("postgres", patroni="http://db:8008/patroni")
    with pytest.raises(ValidationError, match=f"the URL has a {part}, which nobody reads"):
        target("postgres", patroni=patroni)
