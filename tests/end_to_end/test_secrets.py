"""No secret is in any log, page or message, whatever goes wrong."""

import os
import re
import signal
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import HttpUrl, SecretStr

from exporter.config.config import Web
from exporter.config.stores import Target
from exporter.config.targets import TargetBase
from testkit.process import free_port
from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.paths import ROOT

CANARY = "canary-7f3a9c51"
FOUND = re.compile(CANARY + r"[\w-]*")
PAGES = (
    "/",
    "/targets/pg",
    "/metrics",
    "/sd",
    "/findings",
    "/health",
    "/health?verbose",
    "/health/targets/pg",
    "/livez?verbose",
    "/startupz?verbose",
    "/readyz?verbose",
    "/probe?target=pg",
    "/no",
)
MODELS: tuple[type[TargetBase], ...] = get_args(Target)


class Talkative(Exporter):
    """Tell everything that there is to tell."""

    def command(self, *arguments: str) -> list[str]:
        return [*super().command(*arguments), "--log-level", "debug"]

    def told(self, **headers: str) -> dict[str, str]:
        """Return all that anybody can read of it while it runs, by where it is."""
        targets = [target["name"] for target in yaml.safe_load(self.config.read_text())["targets"]]
        paths = [*PAGES, *(f"/{page}/{name}" for name in targets for page in ("targets", "health/targets"))]
        pages = {path: self.get(path, **headers) for path in paths}
        found = {path: f"{page.headers}{page.body.decode()}" for path, page in pages.items()}
        title = Path(f"/proc/{self.pid}/cmdline").read_bytes().decode()
        return found | {"title": title, "log": self.log.read_text()}

    def checked(self) -> dict[str, str]:
        """Return what `check` says of its configuration."""
        found = {}
        for kind in ("text", "json"):
            command = self.command("check", "--format", kind)
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
            assert done.returncode == 1, done.stderr
            found[f"check {kind}"] = done.stdout + done.stderr
        return found


def leaks(told: dict[str, str]) -> dict[str, set[str]]:
    return {place: set(FOUND.findall(text)) for place, text in told.items() if CANARY in text}


@pytest.mark.servers("postgres:18", "qdrant", "neo4j:5.26", "minio:1")
def test_planted_secrets_are_nowhere(servers: Servers, tmp_path: Path) -> None:
    """Wrong passwords and keys, in the URL, in a file and in the configuration, on live and dead servers."""
    in_a_file = tmp_path / "secret"
    in_a_file.write_text(f"{CANARY}-file\n")
    port = servers.postgres("18").port
    targets: list[dict[str, Any]] = [
        servers.postgres("18").target("pg", password=f"{CANARY}-value"),
        {"name": "in-url", "store": "postgres", "url": f"postgresql://monitor:{CANARY}-url@127.0.0.1:{port}/postgres"},
        {"name": "dead", "store": "postgres", "url": f"postgresql://monitor:{CANARY}-dead@127.0.0.1:1/postgres"},
        servers.qdrant().target("qd", api_key=f"{CANARY}-key"),
        servers.minio(1).target("s3", secret_key=f"{CANARY}-secret"),
        servers.minio(1).target("s3-stranger", access_key=f"{CANARY}-access"),
        servers.neo4j("5.26").target("neo", user="nobody-there", password=f"{CANARY}-neo"),
    ]
    from_file = servers.postgres("18").target("file", password_file=str(in_a_file))
    del from_file["password"]
    with Talkative([*targets, from_file]) as exporter:
        exporter.wait(lambda: exporter.get("/startupz").status == 200, "the first attempts")
        time.sleep(2)
        told = exporter.told() | exporter.checked()
        exporter.stop()
        told["log"] = exporter.log.read_text()

    assert "target down" in told["log"]
    assert leaks(told) == {}


def test_a_canary_in_every_field_is_nowhere(tmp_path: Path) -> None:
    """In each field of each store that can hold a secret, also one that was rotated, on dead servers and on an echo."""
    with echo() as port:
        places = (free_port(), port)
        with Talkative(planted(tmp_path, "first", places), web=web("first")) as exporter:
            exporter.wait(lambda: exporter.get("/startupz").status == 200, "the first attempts", 60)
            first = exporter.told(Authorization=f"Bearer {CANARY}-first-token")
            document = yaml.safe_load(exporter.config.read_text())
            document |= {"targets": planted(tmp_path, "second", places), "web": web("second")}
            exporter.config.write_text(yaml.safe_dump(document))
            os.kill(exporter.pid, signal.SIGHUP)
            exporter.wait(lambda: "event=reloaded" in exporter.log.read_text(), "the reload")
            exporter.wait(lambda: exporter.get("/startupz").status == 200, "the first attempts", 60)
            second = exporter.told(Authorization=f"Bearer {CANARY}-second-token")
            strangers = exporter.told() | exporter.checked()
            exporter.stop()
            log = exporter.log.read_text()

    assert "postgres-echo-value" in log
    assert "datatier_up" in second["/metrics"]
    assert "datatier_up" not in strangers["/metrics"]
    assert [leaks(told) for told in (first, second, strangers, {"log": log})] == [{}, {}, {}, {}]


def secret_fields(model: type[TargetBase] | type[Web]) -> set[str]:
    """Name what can hold a secret, also where the field is newer than this test."""
    return {
        name
        for name, field in model.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }


def web(name: str) -> dict[str, Any]:
    assert secret_fields(Web) == {"token"}
    return {"token": f"{CANARY}-{name}-token"}


def planted(folder: Path, generation: str, ports: tuple[int, int]) -> list[dict[str, Any]]:
    """Make targets of all stores at a dead port and at the echo's, their secrets as values and in files."""
    targets = [
        target(model, f"{CANARY}-{generation}", place, port, folder if kind == "file" else None)
        for model in MODELS
        for place, port in zip(("dead", "echo"), ports, strict=True)
        for kind in ("value", "file")
    ]
    return [{**targets[0], "name": "pg"}, *targets]


def target(model: type[TargetBase], mark: str, place: str, port: int, folder: Path | None) -> dict[str, Any]:
    """Make a target with a secret in each of its fields, and in its URL where one may be there."""
    [store] = get_args(model.model_fields["store"].annotation)
    name = f"{store}-{place}-{'file' if folder else 'value'}"
    mark, scheme = f"{mark}-{name}", model.schemes()[0]
    if scheme == "postgresql":
        database = "pgbouncer" if store == "pgbouncer" else "db"
        word = f"user:{mark}-url@127.0.0.1:{port}/{database}"
        url = f"user@127.0.0.1:{port}/{database}?password={mark}-query" if place == "echo" else word
    elif store == "backups":  # of its addresses only those of servers have keys
        scheme, url = "http", f"127.0.0.1:{port}/bucket"
    else:
        url = f"127.0.0.1:{port}"
    made: dict[str, Any] = {"name": name, "store": store, "url": f"{scheme}://{url}"}
    if store == "backups":
        made["sets"] = [{"name": "dumps", "of": "pg", "files": "*.dump", "every": "1d"}]
    for field in secret_fields(model) - {"url"}:
        secret = f"{mark}-{field}"
        made |= {field: secret} if folder is None else {f"{field}_file": in_file(folder, secret)}
    urls = [field for field, found in model.model_fields.items() if HttpUrl in get_args(found.annotation)]
    return made | {field: f"http://user:{mark}-{field}@127.0.0.1:{port}/" for field in urls}


def in_file(folder: Path, secret: str) -> str:
    file = folder / secret.replace(CANARY, "file")
    file.write_text(secret + "\n")
    return str(file)


class _Echo(socketserver.BaseRequestHandler):
    """Answer with what was said: over HTTP as a refusal that repeats the whole request, otherwise byte by byte."""

    def handle(self) -> None:
        with suppress(OSError):
            self.request.settimeout(10)
            while said := self.request.recv(65536):
                self.request.sendall(_refusal(said) if b" HTTP/1." in said else said)


def _refusal(said: bytes) -> bytes:
    credentials = re.findall(rb"(?:Authorization|api-key): ([^\r]*)", said, re.IGNORECASE)
    head = b"HTTP/1.1 500 " + b" ".join(credentials) + b"\r\nContent-Type: text/plain\r\nContent-Length: "
    return head + str(len(said)).encode() + b"\r\n\r\n" + said


@contextmanager
def echo() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
