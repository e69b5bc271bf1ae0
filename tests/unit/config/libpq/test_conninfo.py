"""Connection strings in each of their forms: every parameter has its effect, or is an error with what is right."""

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter.config.config import load_config
from exporter.config.libpq.conninfo import Conninfo, conninfo, split_targets
from exporter.config.libpq.parameters import PARAMETERS
from exporter.config.stores import Target
from exporter.errors import ConfigError

TARGET: TypeAdapter[Target] = TypeAdapter(Target)
HERE = "postgresql://monitor@db/postgres"


def read(text: str, **environment: str) -> Conninfo:
    return conninfo(text, environment)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("postgresql://u@db1:5433/x", [("db1", 5433, None)]),
        ("postgresql://u@db1,[::1]:5433/x", [("db1", 5432, None), ("::1", 5433, None)]),
        ("postgresql:///x?host=db1,db2&port=5433&user=u", [("db1", 5433, None), ("db2", 5433, None)]),
        ("postgresql://u@/x?host=%2Fvar%2Frun", [("/var/run", 5432, "/var/run/.s.PGSQL.5432")]),
        ("postgresql://u@%2Fvar%2Frun:5433/x", [("/var/run", 5433, "/var/run/.s.PGSQL.5433")]),
        ("postgresql://u@%40name/x", [("@name", 5432, "\0name/.s.PGSQL.5432")]),
        ("host=/var/run user=u dbname=x", [("/var/run", 5432, "/var/run/.s.PGSQL.5432")]),
        ("user=u port = 5433 host='db1' dbname=x", [("db1", 5433, None)]),
    ],
)  # fmt: skip
def test_each_way_to_name_a_server(text: str, hosts: list[tuple[str, int, str | None]]) -> None:
    found = read(text)

    assert [(host.name, host.port, host.socket) for host in found.hosts] == hosts
    assert (found.user, found.database) == ("u", "x")
    assert found.local is all(path for *_, path in hosts)


def test_an_address_of_the_environment_is_of_its_host_alone(tmp_path: Path) -> None:
    """Else all targets would show one server, each under its own name."""
    services = tmp_path / "services"
    services.write_text("[orders]\nhost=db2\n")
    environment = {"PGHOST": "db1", "PGHOSTADDR": "10.0.0.1", "PGUSER": "u", "PGSERVICEFILE": str(services)}
    found = {text: read(text, **environment).hosts[0] for text in ("user=u", "host=db9", HERE, "service=orders")}

    assert [(host.name, host.address) for host in found.values()] == [
        ("db1", "10.0.0.1"), ("db9", None), ("db", None), ("db2", None),
    ]  # fmt: skip


def test_the_process_user_may_have_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container its number may be any."""
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ValueError, match="write user"):
        read("postgresql://db/x")


def test_special_characters() -> None:
    """In a URL they are percent-encoded, and a plus is a plus; in a keyword string they are quoted."""
    for text in ("postgresql://a%40b:p%20%27%5C%2B+%3F@db/x", r"user=a@b password='p \'\\++?' host=db dbname=x"):
        assert (read(text).user, read(text).password) == ("a@b", "p '\\++?"), text


def test_a_missing_parameter_comes_from_the_environment_or_a_service(tmp_path: Path) -> None:
    services = tmp_path / "services"
    services.write_text("# all\n[other]\nhost=wrong\n[orders]\nhost=db2\nsslmode=require\nuser=s\n\n[last]\nhost=x\n")
    environment = {"PGHOST": "db1", "PGSSLMODE": "disable", "PGPASSWORD": "p", "PGSERVICEFILE": str(services)}
    plain, served = read("postgresql://u@/x", **environment), read("service=orders user=u", **environment)

    assert (plain.hosts[0].name, plain.get("sslmode"), plain.password) == ("db1", "disable", "p")
    assert (served.hosts[0].name, served.get("sslmode"), served.user) == ("db2", "require", "u")
    assert read("postgresql://db9/x?sslmode=allow", **environment).get("sslmode") == "allow"
    with pytest.raises(ValueError, match=r"^the environment's PGSSLMODE: sslmode: expected disable or allow"):
        read(HERE, PGSSLMODE="bogus")
    with pytest.raises(ValueError, match=r"^service: .*services has no such service$"):
        read("service=none", **environment)


# A value of each parameter that is honoured, or None where none is.
TAKEN: dict[str, str | None] = {
    "host": "db", "hostaddr": "127.0.0.1", "port": "5433", "dbname": "pgbouncer", "user": "u", "password": "p",
    "passfile": "/none",
    "require_auth": "!password,!md5", "channel_binding": "prefer", "requirepeer": "postgres", "gssdelegation": "0",
    "gssencmode": "prefer", "sslmode": "require", "ssl": "true", "sslnegotiation": "postgres", "sslcompression": "0",
    "sslpassword": "p", "sslcertmode": "allow", "sslrootcert": "system", "sslsni": "1",
    "ssl_min_protocol_version": "TLSv1.2", "ssl_max_protocol_version": "TLSv1.3", "connect_timeout": "5",
    "keepalives": "1", "keepalives_idle": "5", "keepalives_interval": "5", "keepalives_count": "5",
    "tcp_user_timeout": "5000", "target_session_attrs": "read-write", "load_balance_hosts": "disable",
    "application_name": "datatier-exporter", "fallback_application_name": "x", "client_encoding": "utf8",
    "options": "endpoint%3Dep-1", "replication": "false", "min_protocol_version": "3.0",
    "max_protocol_version": "latest", "binary_parameters": "yes", "sslcrl": "FILE", "sslcert": "FILE",
}  # fmt: skip
SECOND = {"service", "servicefile", "sslkey"}  # of no use alone, and tried elsewhere


@pytest.mark.parametrize("store", ["postgres", "pgbouncer"])
@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() - SECOND))
def test_every_parameter_is_supported_or_rejected_by_name(store: str, name: str, tmp_path: Path) -> None:
    """At the start, and in the same words for both stores."""
    file = tmp_path / "file"
    file.write_text("")
    taken = "any" if (store, name) == ("pgbouncer", "target_session_attrs") else TAKEN.get(name)
    place = {"dbname": "postgresql://"}.get(name, "postgresql:///pgbouncer")
    place = place if name in ("host", "port", "user", "password", "dbname") else "postgresql://monitor@db/pgbouncer"
    good = f"{place}?{name}={str(taken).replace('FILE', str(file))}"
    if taken is not None:
        assert TARGET.validate_python({"name": "one", "store": store, "url": good})
    bad = f"{place}?{name}=bogus"
    if taken is None or name not in ("host", "user", "password", "dbname", "passfile", "sslpassword", "requirepeer",
                                     "fallback_application_name", "options"):  # fmt: skip
        with pytest.raises(ValidationError, match=rf"{name}: "):
            TARGET.validate_python({"name": "one", "store": store, "url": bad})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{HERE}?statement_timeout=5s", "statement_timeout is no parameter of libpq: what the role's sessions need"),
        (f"{HERE}?database=x", "database is no parameter of libpq: write dbname"),
        (f"{HERE}?sslmode=require&sslmode=disable", "sslmode is there twice"),
        (f"{HERE}?host=other", "host is there twice"),
        (f"{HERE}?user=other", "user is there twice"),
        (f"{HERE}?dbname=other", "dbname is there twice"),
        ("postgresql://u@db:5432/x?port=5433", "port is there twice"),
        ("postgresql://u@a,b,c/x?port=1,2", "port: 3 hosts, but 2 ports"),
        ("postgresql://u@db/x?port=70000", "port: expected a port, 1 to 65535"),
        ("postgresql://u@db/x?port=abc", "port: expected a port, 1 to 65535"),
        (f"{HERE}?sslmode", "a parameter in the URL has no ="),
        (f"{HERE}?options=-c%20search_path%3Dpublic", "options: the exporter sets up its sessions itself"),
        (f"{HERE}?options=--search_path%3Dpublic", "options: the exporter sets up its sessions itself"),
        (f"{HERE}?options=x%20%5C-c%20a%3Db", "options: the exporter sets up its sessions itself"),
        (f"{HERE}?keepalives_idle=99999", "keepalives_idle: expected a whole number, 32767 at most"),
        ("host=db user=a\0b", "there is a NUL in it"),
        (f"{HERE}?sslrootcert=/dev/zero", "sslrootcert: /dev/zero cannot be read: it is not a regular file"),
        (f"{HERE}?sslrootcert=/none.pem", "sslrootcert: /none.pem cannot be read: No such file"),
        (f"{HERE}?sslrootcert=system&sslmode=require", "sslrootcert=system needs sslmode=verify-full"),
        (f"{HERE}?sslnegotiation=direct", "sslnegotiation=direct needs sslmode=require"),
        (f"{HERE}?sslkey=/dev/null", "sslkey: /dev/null cannot be read: it is not a regular file"),
        (f"{HERE}?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "is above"),
        ("host=db password=two words", "expected name=value, name=value …"),
        ("host=db password='open", "expected name=value, name=value …"),
        ("jdbc:postgresql://db/x", "expected a URL that starts with postgresql:// or postgres://, or host=…"),
        ("postgresql://u:100%zz@db/x", "a % in the URL is followed by what is no character"),
        ("postgresql://u:%FF@db/x", "a % in the URL is followed by what is no character"),
        ("postgresql://u:%00@db/x", "a % in the URL is followed by what is no character"),
        ("postgresql://u:22?secret=more@db/x", "not a URL; special characters of a password are written as %40"),
        ("postgresql://u:p@ss?wo=rd@db/x", "not a URL; special characters of a password are written as %40"),
    ],
)  # fmt: skip
def test_a_rejected_value_comes_with_a_right_one(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        read(text)

    for secret in ("words", "open", "100", "secret", "more", "rd@"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(("word", "seconds"), [("3", 3.0), ("60", 10.0), ("0", 10.0), ("-1", 10.0)])
def test_a_connection_takes_no_longer_than_is_wanted(word: str, seconds: float) -> None:
    """The exporter's own patience is the longest."""
    assert read(f"{HERE}?connect_timeout={word}").connect_seconds(10.0) == seconds


def test_a_console_is_no_server_of_a_kind() -> None:
    url = "postgresql://monitor@pool/pgbouncer?target_session_attrs=primary"
    with pytest.raises(ValidationError, match="target_session_attrs: a console is neither"):
        TARGET.validate_python({"name": "pool", "store": "pgbouncer", "url": url})


def test_several_servers_in_one_variable() -> None:
    """As postgres_exporter splits them; the hosts of one server stay together."""
    a, b = "postgresql://u@db1,db2/x", "postgresql://u@db3/y?sslmode=disable"

    assert split_targets(f"{a},{b}") == [a, b]
    assert split_targets("host=a,b user=u, user=v host=c") == ["host=a,b user=u", "user=v host=c"]
    targets = load_config(None, {"DATA_SOURCE_NAME": f"{a}, {b}"}).targets
    assert [target.name for target in targets] == ["postgres", "postgres-2"]
    with pytest.raises(ConfigError, match=r"^environment: DATA_SOURCE_NAME: sslmode: expected disable or"):
        load_config(None, {"DATA_SOURCE_NAME": f"{a},{HERE}?sslmode=bogus"})


def test_a_password_anywhere_is_a_secret() -> None:
    for url in (f"{HERE}?password=hunter22", "host=db password='hunter22'", "postgresql://u:hunter%322@db/x"):
        assert "hunter22" in TARGET.validate_python({"name": "one", "store": "postgres", "url": url}).secrets()
