"""Qdrant over TLS: the authority is checked, and a new one is read without a restart."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import certifi
import httpx
import pytest

from exporter.datastores.qdrant.client import open_datastore
from exporter.targets import QdrantTarget
from tests.qdrant_recorded import recorded
from tests.servers.session import Servers

ANSWERS = recorded("1-empty")


@pytest.fixture
def certificate(tmp_path: Path, servers: Servers) -> Path:
    """Make a certificate for 127.0.0.1 that vouches for itself; its key lies beside it."""
    if shutil.which("openssl") is None:
        servers.skip("openssl", "it is not on the PATH")
    file = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=qdrant"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(file), "-keyout", str(file.with_suffix(".key"))]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return file


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, body = ANSWERS[request.split(" ")[1]]
    head = f"HTTP/1.1 {status} OK\r\ncontent-length: {len(body.encode())}\r\nconnection: close\r\n\r\n"
    writer.write((head + body).encode())
    await writer.drain()
    writer.close()


@asynccontextmanager
async def _served(certificate: Path) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_certificate_is_checked(certificate: Path) -> None:
    """Nobody vouches for the server: `connect`, and no way around it."""
    async with _served(certificate) as url, open_datastore(QdrantTarget(name="q", store="qdrant", url=url)) as store:
        with pytest.raises(httpx.ConnectError) as error:
            await store.ping()

        assert store.reason(error.value) == "connect"


async def test_an_authority_that_rotates(certificate: Path, tmp_path: Path) -> None:
    """The file of the authority is read again after a failure: no restart is needed."""
    authority = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), authority)
    async with _served(certificate) as url:
        target = QdrantTarget(name="q", store="qdrant", url=url, ca_file=authority)
        async with open_datastore(target) as store:
            with pytest.raises(httpx.ConnectError) as error:
                await store.ping()

            assert store.reason(error.value) == "connect"

            shutil.copy(certificate, authority)

            assert (await store.ping()).version == "1.18.3"
