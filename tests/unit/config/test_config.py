"""The configuration is checked whole before anything starts, and keeps its secrets."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.config import Config, load_config
from exporter.config.stores.postgres import PostgresTarget
from exporter.errors import ConfigError
from tests.support.factories import write

ORDERS = """\
targets:
  - name: orders
    store: postgres
    url: postgresql://monitor@db1/postgres
"""
Read = Callable[[str], Config]
Rejected = Callable[[str], list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return lambda text: load_config(write(tmp_path / "datatier.yaml", text), {})


@pytest.fixture
def rejected(tmp_path: Path) -> Rejected:
    """Return a function that loads a text and returns its problems without the path."""

    def load(text: str) -> list[str]:
        path = write(tmp_path / "datatier.yaml", text)
        with pytest.raises(ConfigError) as caught:
            load_config(path, {})
        assert all(problem.startswith(f"{path}:") and "\n" not in problem for problem in caught.value.problems)
        return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]

    return load


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """Every key that is promised is taken."""
    write(tmp_path / "secret", "s3cr3t\n")
    (tmp_path / "queries.d").mkdir()
    text = f"""\
listen: 0.0.0.0:9187
poll: {{interval: 15s}}
targets:
  - name: orders
    store: postgres
    url: postgresql://monitor@db1:5432/postgres?sslmode=verify-full
    password_file: {tmp_path}/secret
    databases: {{include: ["*"], exclude: [template*]}}
    required: true
    groups: [write]
    labels: {{cluster: eu-1}}
    interval: 30s
  - {{name: search,  store: qdrant, url: "https://qdrant:6333", api_key_file: "{tmp_path}/secret"}}
  - {{name: graph,   store: neo4j,  url: "neo4j+s://graph:7687", user: monitor, password_file: "{tmp_path}/secret"}}
  - {{name: objects, store: minio,  url: "https://minio:9000", access_key: me44, secret_key_file: "{tmp_path}/secret"}}
queries: [queries.d]
thresholds: {{disk_used_ratio: {{warn: 0.8, fail: 0.9}}}}
"""
    config = load_config(write(tmp_path / "datatier.yaml", text), {})

    assert [(target.name, target.store) for target in config.targets] == [
        ("orders", "postgres"), ("search", "qdrant"), ("graph", "neo4j"), ("objects", "minio")
    ]  # fmt: skip
    assert [config.interval(target) for target in config.targets] == [30.0, 15.0, 15.0, 15.0]
    assert config.queries == (tmp_path / "queries.d",)
    assert config.secrets() == {"s3cr3t", "me44"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ORDERS + "lissten: x\n", "5: lissten: unknown key"),
        (ORDERS + "listen: nowhere\n", "5: listen: 'nowhere' is not an address such as 0.0.0.0:9187"),
        (ORDERS + "poll: {interval: 15}\n", "5: poll.interval: '15' is not a duration"),
        (ORDERS + "poll: {interval: 15.5}\n", "5: poll.interval: '15.5' is not a duration"),
        (ORDERS + "thresholds: {disc: {warn: 1, fail: 2}}\n", "5: thresholds: 'disc' is not a threshold; there are"),
        (ORDERS + "thresholds:\n  disk_used_ratio: {warn: 2, fail: 1}\n", "6: thresholds.disk_used_ratio: warn 2.0"),
        (ORDERS + "thresholds: {disk_used_ratio: {warn: 80, fail: 90}}\n", "5: thresholds: disk_used_ratio: warn 80 "),
        (
            ORDERS + "    thresholds: {disk_used_ratio: {warn: 80, fail: 90}}\n",
            "5: targets.0.thresholds: disk_used_ratio: warn 80 ",
        ),
        (ORDERS + "queries: [none.d]\n", "5: queries.0: "),
        (ORDERS.replace("postgres\n", "mysql\n", 1), "2: targets.0: Input tag 'mysql' found using 'store'"),
        (ORDERS.replace("    store: postgres\n", ""), "2: targets.0: required: one of the known stores"),
        (ORDERS.replace("orders", "or ders"), "2: targets.0.name: 'or ders' must start with a letter"),
        (ORDERS.replace("postgresql:", "mysql:"), "4: targets.0.url: expected a URL that starts with postgresql://"),
        (ORDERS.replace("url", "uri"), "4: targets.0.uri: unknown key"),
        (ORDERS.replace("url", "uri"), "2: targets.0.url: required, but not there"),
        (ORDERS + "    api_key: x\n", "5: targets.0.api_key: unknown key"),
        (ORDERS + "    password: 12345\n", "5: targets.0.password: expected a valid string"),
        (ORDERS + "    labels: {datatier: x, target: y}\n", "5: targets.0.labels: 'target' cannot be a label"),
        (ORDERS + "    labels: {reason: x}\n", "5: targets.0.labels: 'reason' cannot be a label"),
        (ORDERS + "    labels: {a-b: x}\n", "5: targets.0.labels: 'a-b' cannot be a label"),
        (ORDERS + "    password_file: /none\n", "5: targets.0.password_file: /none cannot be read: No such file"),
        (ORDERS + "    databases: [app]\n", "5: targets.0.databases: expected keys and values"),
        (ORDERS + "    groups: [a/b]\n", "5: targets.0.groups: 'a/b' must start with a letter or digit"),
        (
            ORDERS + "    groups: [write]\nreadyz: {require: [writ]}\n",
            "6: readyz: no target is in the group 'writ'; there are write",
        ),
        (ORDERS + "readyz: {require: [write]}\n", "5: readyz: no target is in the group 'write'; there are no groups"),
        ("targets: []\n", "1: targets: name at least one server to watch"),
        ("{}\n", "targets: required, but not there"),
    ],
)
def test_a_wrong_configuration(rejected: Rejected, text: str, problem: str) -> None:
    """The message has the line, the key as the file has it, and what would be right."""
    assert problem in " | ".join(rejected(text))


def test_all_problems_come_at_once(rejected: Rejected) -> None:
    """One run reports all problems."""
    text = (
        ORDERS.replace("url", "uri")
        + "    required: maybe\n    password_file: /none\nlisten: x\npoll: {intervall: 5s}\n"
    )

    assert sorted({problem.split(": ")[1] for problem in rejected(text)}) == [
        "listen", "poll.intervall", "targets.0.password_file", "targets.0.required", "targets.0.uri", "targets.0.url"
    ]  # fmt: skip


def test_all_missing_folders_come_at_once(rejected: Rejected) -> None:
    assert [problem.split(":")[0:2] for problem in rejected(ORDERS + "queries:\n  - a.d\n  - b.d\n")] == [
        ["6", " queries.0"], ["7", " queries.1"]
    ]  # fmt: skip


def test_two_targets_of_one_name(rejected: Rejected) -> None:
    """A name is a label, so it must be the only one."""
    again = ORDERS.removeprefix("targets:\n")

    assert rejected(ORDERS + again) == ["1: targets: two targets have the name 'orders'"]
    assert rejected(ORDERS.replace("orders", "exporter")) == [
        "1: targets: no target can have the name 'exporter': it is the exporter's own"
    ]


def test_a_secret_has_one_source(rejected: Rejected, tmp_path: Path) -> None:
    """Two would leave it open which one counts."""
    write(tmp_path / "secret", "x")
    found = rejected(ORDERS + f"    password: x\n    password_file: {tmp_path}/secret\n")

    assert found == ["2: targets.0: password and password_file exclude each other"]


def test_several_targets_of_one_server_are_normal(read: Read) -> None:
    config = read(ORDERS + ORDERS.removeprefix("targets:\n").replace("orders", "invoices"))

    assert [target.name for target in config.targets] == ["orders", "invoices"]


def test_variables_come_from_the_environment(tmp_path: Path) -> None:
    """Numbers and truths, too."""
    text = ORDERS + "    password: ${PASSWORD}\n    required: ${REQUIRED}\n"
    config = load_config(write(tmp_path / "x.yaml", text), {"PASSWORD": "pass: word", "REQUIRED": "false"})

    assert config.targets[0].secret("password") == "pass: word"
    assert config.targets[0].required is False


def test_an_unset_variable(rejected: Rejected) -> None:
    """The message names the variable, and never a value."""
    assert rejected(ORDERS + "    password: ${PASSWORD}\n") == [
        "5: targets.0.password: the environment variable PASSWORD is not set"
    ]


def test_a_secret_file_is_read_again(read: Read, tmp_path: Path) -> None:
    """Rotation needs no restart; the newline at a file's end is no part of the secret, but a space is."""
    file = write(tmp_path / "secret", "first \r\n")
    [target] = read(ORDERS + f"    password_file: {file}\n").targets
    assert target.secret("password") == "first "

    write(file, "second\n")
    assert (target.secret("password"), target.secrets()) == ("second", {"second"})

    file.unlink()
    assert target.secrets() == {"second"}
    with pytest.raises(ValueError, match=re.escape(f"{file} cannot be read: No such file or directory")):
        target.secret("password")


def test_a_secret_file_is_not_read_for_each_line_of_the_log(read: Read, tmp_path: Path) -> None:
    """A thousand targets that go down at once make a thousand lines; what a file holds counts from when it was read."""
    file = write(tmp_path / "secret", "first")
    [target] = read(ORDERS + f"    password_file: {file}\n").targets
    assert target.secrets() == {"first"}

    write(file, "second")
    assert target.secrets() == {"first"}
    assert (target.secret("password"), target.secrets()) == ("second", {"second"})


def test_a_target_is_the_same_whatever_was_read_of_it(read: Read, tmp_path: Path) -> None:
    """Equal settings are equal: what a reload compares."""
    text = ORDERS + f"    password_file: {write(tmp_path / 'secret', 'first')}\n"
    [used], [fresh] = read(text).targets, read(text).targets
    used.secret("password")

    assert used == fresh


def test_no_secret_is_shown(read: Read) -> None:
    """Neither a password, nor a key, nor a URL, which may hold one."""
    config = read(
        ORDERS.replace("monitor@", "monitor:hunter22@")
        + "    password: hunter33\n"
        + "  - {name: s3, store: minio, url: 'http://m:9000', access_key: hunter44, secret_key: hunter55}\n"
        + "  - {name: search, store: qdrant, url: 'http://q:6333', api_key: hunter66}\n"
    )

    assert not re.search("hunter|db1", f"{config!r} {config} {config.model_dump()} {config.targets!r}")
    assert config.secrets() == {f"hunter{n}" for n in (22, 33, 44, 55, 66)}


def test_a_password_in_a_url_is_a_secret_both_ways(read: Read) -> None:
    """As it is written, and as the server gets it."""
    [target] = read(ORDERS.replace("monitor@", "monitor:p%40ss@")).targets

    assert target.secrets() == {"p%40ss", "p@ss"}


@pytest.mark.parametrize("url", ["postgresql://monitor:hunter22@[db1", "postgresql://u:hunter22\u2100@db1/x"])
def test_a_url_that_is_none_is_not_repeated(rejected: Rejected, url: str) -> None:
    """The reason would quote the password."""
    [problem] = rejected(f"targets:\n  - {{name: a, store: postgres, url: '{url}'}}\n")

    assert problem.startswith("2: targets.0.url: not a URL")
    assert "hunter22" not in problem


def test_default_databases_leave_out_what_cloud_providers_keep() -> None:
    """The provider alone may log in there; no query visits templates, but their age counts."""
    databases = PostgresTarget.model_fields["databases"].default
    assert [name for name in ("rdsadmin", "azure_maintenance", "cloudsqladmin") if databases.matches(name)] == []
    assert databases.matches("template0")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("web: {token: ''}\n", "5: web: the token is empty"),
        ("web: {token_file: /none}\n", "5: web: /none cannot be read: No such file or directory"),
        ("web: {token: a, token_file: /none}\n", "5: web: token and token_file exclude each other"),
        ("web: {tokens: a}\n", "5: web.tokens: unknown key"),
    ],
)
def test_a_token_that_guards_nothing_is_refused(rejected: Rejected, text: str, problem: str) -> None:
    assert rejected(ORDERS + text) == [problem]


def test_the_web_file_lies_beside_the_configuration(read: Read, tmp_path: Path) -> None:
    """And the token is a secret like others."""
    config = read(ORDERS + "web: {config_file: web.yml, token: a-token, reload: true}\n")

    assert (config.web.config_file, config.secrets()) == (tmp_path / "web.yml", {"a-token"})


def test_no_problem_repeats_what_a_variable_holds(tmp_path: Path) -> None:
    """A secret may stand where an address or a duration belongs."""
    path = tmp_path / "datatier.yaml"
    path.write_text(ORDERS + "listen: ${P}\npoll: {interval: 'x${Q}'}\ndrain: 5s${P}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {"P": "hunter\\22", "Q": "hunter22"})

    assert "hunter" not in str(caught.value)
    assert [problem.partition(": ")[2] for problem in caught.value.problems] == [
        "listen: '${P}' is not an address such as 0.0.0.0:9187",
        "poll.interval: 'x${Q}' is not a duration such as 500ms, 15s, 5m or 1h30m",
        "drain: '5s${P}' is not a duration such as 500ms, 15s, 5m or 1h30m",
    ]
