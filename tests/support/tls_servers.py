"""Servers that speak TLS, of every store, in one shape: they show the certificate that a test wants to see."""

import asyncio
import os
import shutil
import ssl
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from exporter.config.libpq.conninfo import conninfo
from exporter.datastores.pgbouncer.connection import certificate as shown_certificate
from testkit.certificates import Authority, Certificate
from testkit.machine import hand_over
from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.pgbouncer import Pgbouncer
from testkit.postgres import Postgres
from testkit.proxy import Proxy
from testkit.qdrant import Qdrant

_PATIENCE_SECONDS = 20.0
_UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_UNVERIFIED.check_hostname, _UNVERIFIED.verify_mode = False, ssl.CERT_NONE


class TlsServer(Protocol):
    async def show(self, certificate: Certificate, clients: Authority | None = None) -> None:
        """Show this certificate from now on, and demand one of clients that their authority has signed."""

    def target(self, **keys: object) -> dict[str, Any]: ...


class Front(Proxy):
    """TLS in front of a server that speaks plain: for the client it is the server's own."""

    def __init__(self, server: Neo4j | Qdrant | Minio, scheme: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        super().__init__(server.port, self._context)
        self._server = server
        self._scheme = scheme

    async def show(self, certificate: Certificate, clients: Authority | None = None) -> None:
        self._context.load_cert_chain(certificate.file, certificate.key)
        self._context.verify_mode = ssl.CERT_REQUIRED if clients else ssl.CERT_NONE
        if clients:
            self._context.load_verify_locations(clients.file)

    def target(self, **keys: object) -> dict[str, Any]:
        return {**self._server.target("far"), "url": f"{self._scheme}://127.0.0.1:{self.port}", **keys}


class TlsPostgres:
    """A PostgreSQL that reads its certificate again at each reload."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._hba = (server.data / "pg_hba.conf").read_text()
        for name, value in {
            "ssl_cert_file": "own.pem",
            "ssl_key_file": "own.key",
            "ssl_ca_file": "clients.pem",
        }.items():
            server.psql(f"ALTER SYSTEM SET {name} = '{value}'")
        server.psql("ALTER SYSTEM SET ssl = on")

    async def show(self, certificate: Certificate, clients: Authority | None = None) -> None:
        demand = "hostssl all monitor all scram-sha-256 clientcert=verify-ca\n" if clients else ""
        for name, content in {
            "own.pem": certificate.file.read_text(),
            "own.key": certificate.key.read_text(),
            "clients.pem": (clients or certificate).file.read_text(),
            "pg_hba.conf": demand + self._hba,
        }.items():
            _give(self.server.data, name, content)
        self.server.psql("SELECT pg_reload_conf()")
        await _wait_shown(self.server.port, certificate)

    def target(self, **keys: object) -> dict[str, Any]:
        return self.server.target("db", **keys)


class TlsPgbouncer:
    """A PgBouncer that reads its certificate again on RELOAD."""

    def __init__(self, bouncer: Pgbouncer) -> None:
        self.bouncer = bouncer
        self._settings = (bouncer.folder / "pgbouncer.ini").read_text()

    async def show(self, certificate: Certificate, clients: Authority | None = None) -> None:
        settings = {
            "client_tls_sslmode": "verify-ca" if clients else "require",
            "client_tls_cert_file": certificate.file,
            "client_tls_key_file": certificate.key,
            "client_tls_ca_file": (clients or certificate).file,
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        _give(self.bouncer.folder, "pgbouncer.ini", self._settings + lines)
        self.bouncer.restart()
        await _wait_shown(self.bouncer.port, certificate)

    def target(self, **keys: object) -> dict[str, Any]:
        return self.bouncer.target("pool", **keys)


class TlsMinio(Minio):
    """A MinIO that finds its certificate where it looks for one."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__()
        self._certificate = certificate

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")

    def _prepare(self) -> None:
        place = self.folder / ".minio" / "certs"
        place.mkdir(parents=True)
        shutil.copy(self._certificate.file, place / "public.crt")
        shutil.copy(self._certificate.key, place / "private.key")
        hand_over(self.folder)

    def _ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/minio/health/cluster", timeout=2, context=_UNVERIFIED) as answer:
            return bool(answer.status == 200)


def neo4j_settings(certificate: Certificate) -> dict[str, str]:
    """Return what lets a Neo4j speak TLS to those who want it, and plain to the others."""
    return {
        "server.bolt.tls_level": "OPTIONAL",
        "dbms.ssl.policy.bolt.enabled": "true",
        "dbms.ssl.policy.bolt.base_directory": str(certificate.file.parent),
        "dbms.ssl.policy.bolt.public_certificate": certificate.file.name,
        "dbms.ssl.policy.bolt.private_key": certificate.key.name,
        "dbms.ssl.policy.bolt.client_auth": "NONE",
    }


async def _wait_shown(port: int, certificate: Certificate) -> None:
    """Wait until new connections of PostgreSQL's protocol are shown the certificate."""
    wanted = certificate.der
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            if await shown_certificate(conninfo(f"postgresql://127.0.0.1:{port}/"), _UNVERIFIED) == wanted:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("the server does not show its new certificate")


def _give(folder: Path, name: str, content: str) -> None:
    """Write a file for the server's user alone."""
    place = folder / name
    place.touch()
    place.chmod(0o600)
    place.write_text(content)
    owner = folder.stat()
    os.chown(place, owner.st_uid, owner.st_gid)
