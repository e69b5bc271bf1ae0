"""A secret that is changed on the server and in its file: the exporter logs in with the new one, without a reload.

Beside the target whose file changes stands one that keeps the old secret: it shows that the server took the change.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from testkit.pgbouncer import USERS, Pgbouncer
from testkit.session import Servers
from tests.support.exporter_process import Exporter, Patched
from tests.support.minio_admin import admin, allow, statement

OLD, NEW = "old-secret-4711", "new-secret-0815"
SETTLED = 90  # seconds: a refused login is tried again after 60
IMPATIENT = "from exporter.datastores import logins; logins.PAUSE = 5.0"  # test_changed_secrets.py waits for the 60


@contextmanager
def watching(tmp_path: Path, target: dict[str, Any], key: str) -> Iterator[tuple[Exporter, Path]]:
    """Watch a server twice, with its secret in a file and in the configuration; yield when both are logged in."""
    file = tmp_path / "secret"
    file.write_text(f"{OLD}\n")
    common = {name: value for name, value in target.items() if name != key}
    targets = [{**common, "name": "rotated", f"{key}_file": str(file)}, {**common, "name": "stale", key: OLD}]
    with Exporter(targets, "5s") as exporter:  # a login to Neo4j takes its time on a busy machine
        for name in ("rotated", "stale"):
            exporter.wait(lambda name=name: up(exporter, name), f"{name} to log in", SETTLED)  # type: ignore[misc]
        yield exporter, file


def up(exporter: Exporter, target: str) -> bool:
    return exporter.value("datatier_up", target=target) == 1


def refused(exporter: Exporter, target: str) -> bool:
    return exporter.value("datatier_target_failure", target=target, reason="auth") == 1


def see_rotation(exporter: Exporter, file: Path, rotate: Callable[[], object]) -> None:
    """Rotate while the exporter looks away; then only the target with the old secret is refused."""
    with exporter.frozen():
        file.write_text(f"{NEW}\n")
        rotate()
    exporter.wait(lambda: refused(exporter, "stale"), "the old secret to be refused", SETTLED)
    exporter.wait(lambda: up(exporter, "rotated"), "the new secret to be used", SETTLED)
    exporter.stop()
    log = exporter.log.read_text()

    assert "event=reloaded" not in log
    assert OLD not in log
    assert NEW not in log


def test_postgres(servers: Servers, tmp_path: Path) -> None:
    """The server ends the sessions of the old password, as the rotation of a password does."""
    with servers.private_postgres("18") as server:
        server.psql(f"ALTER ROLE monitor PASSWORD '{OLD}' CONNECTION LIMIT 20")

        def rotate() -> None:
            server.psql(f"ALTER ROLE monitor PASSWORD '{NEW}'")
            server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'monitor'")

        with watching(tmp_path, server.target("db"), "password") as (exporter, file):
            see_rotation(exporter, file, rotate)


def test_neo4j(servers: Servers, tmp_path: Path) -> None:
    """The driver notices by itself that the secret is another one; sessions of the old one are ended."""
    with servers.private_neo4j("5.26") as server:
        change = "ALTER CURRENT USER SET PASSWORD FROM $old TO $new"

        def rotate() -> None:
            server.run(change, "system", old=OLD, new=NEW)
            server.password = NEW
            for row in server.run("CALL dbms.listConnections() YIELD connectionId, userAgent RETURN *"):
                if "datatier" in (row["userAgent"] or ""):  # one that did not say hello yet has none
                    server.run("CALL dbms.killConnection($id)", id=row["connectionId"])

        server.run(change, "system", old=server.password, new=OLD)
        server.password = OLD
        with watching(tmp_path, server.target("graph"), "password") as (exporter, file):
            see_rotation(exporter, file, rotate)


def test_minio(servers: Servers, tmp_path: Path) -> None:
    """Each request is signed; a user's key is replaced by adding the user again."""
    server = servers.minio(1)
    keys = {"access_key": "rotating", "secret_key": OLD}
    allow(server, keys, [statement("s3:ListAllMyBuckets"), statement("admin:ServerInfo")])

    def rotate() -> None:
        admin(server).user_add(access_key="rotating", secret_key=NEW)

    target = server.target("objects", access_key="rotating")
    with watching(tmp_path, target, "secret_key") as (exporter, file):
        see_rotation(exporter, file, rotate)


def test_qdrant(servers: Servers, tmp_path: Path) -> None:
    """The key comes with the server's start."""
    with servers.private_qdrant(api_key=OLD) as server:

        def rotate() -> None:
            server.api_key = NEW
            server.restart()

        with watching(tmp_path, server.target("search"), "api_key") as (exporter, file):
            see_rotation(exporter, file, rotate)


def test_pgbouncer(servers: Servers, tmp_path: Path) -> None:
    """Its file of users is read again at a start."""
    with servers.private_postgres("18") as server, servers.private_pgbouncer(server) as bouncer:
        set_password(bouncer, OLD)
        bouncer.restart()

        def rotate() -> None:
            set_password(bouncer, NEW)
            bouncer.restart()

        with watching(tmp_path, bouncer.target("pool"), "password") as (exporter, file):
            see_rotation(exporter, file, rotate)


def set_password(bouncer: Pgbouncer, password: str) -> None:
    words = {**USERS, "monitor": password}
    (bouncer.folder / "users.txt").write_text("".join(f'"{name}" "{word}"\n' for name, word in words.items()))


@pytest.mark.servers("postgres:18")
def test_a_refused_login_is_tried_again_with_the_files_new_secret(servers: Servers, tmp_path: Path) -> None:
    """Where the file comes late: after the pause that protects from lock-outs, and still without a reload."""
    file = tmp_path / "secret"
    file.write_text("wrong")
    target = servers.postgres("18").target("late", password_file=str(file))
    right = target.pop("password")
    with Patched([target], IMPATIENT) as exporter:
        exporter.wait(lambda: refused(exporter, "late"), "the refusal")
        file.write_text(str(right))
        exporter.wait(lambda: up(exporter, "late"), "the login", SETTLED)
        log = exporter.log.read_text()

    assert "event=reloaded" not in log
