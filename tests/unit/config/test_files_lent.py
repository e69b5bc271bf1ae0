"""OpenSSL gets the content of files that were read within bounds, and opens none itself."""

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from exporter.config.files import lent, lent_file
from exporter.config.libpq.conninfo import conninfo
from exporter.config.server_tls import server_context
from exporter.config.tls import TlsFiles, client_context
from exporter.config.web_config import TlsServer
from exporter.datastores.pgwire.tls import context_of, lent_parameters
from testkit.certificates import Authority

URL = "postgresql://u@db/x?sslmode=verify-full&sslrootcert={0}&sslcert={1}&sslkey={2}"
MAKERS: dict[str, Callable[[Path, Path, Path], object]] = {
    "keys of a target": lambda ca, cert, key: client_context(TlsFiles(ca, cert, key, verify=True)),
    "libpq's words": lambda *files: context_of(conninfo(URL.format(*files), {})),
    "our own pages": lambda ca, cert, key: server_context(
        TlsServer(cert_file=cert, key_file=key, client_ca_file=ca, client_auth_type="RequireAndVerifyClientCert")
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_file_that_hangs_after_it_was_read_blocks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A mount may return a file's size and hang when it is read."""
    authority = Authority(tmp_path)
    ours = authority.issue("monitor")
    files = (authority.file, ours.file, ours.key)
    contents = {file: file.read_bytes() for file in files}
    for module in ("exporter.config.files", "exporter.config.secret_files", "exporter.config.libpq.parameters"):
        monkeypatch.setattr(f"{module}.read_bounded", lambda file, *_: contents[file])
    monkeypatch.setattr("exporter.config.tls.stamp", lambda _: (name,))
    for file in files:
        file.unlink()
        os.mkfifo(file)
    made: list[object] = []
    thread = Thread(target=lambda: made.append(MAKERS[name](*files)), daemon=True)
    thread.start()
    thread.join(5)

    assert made


@pytest.mark.parametrize(("mode", "expected"), [("require", False), ("verify-ca", False), ("verify-full", True)])
def test_sslmode_decides_what_is_verified(tmp_path: Path, mode: str, *, expected: bool) -> None:
    made = context_of(conninfo(f"postgresql://u@db/x?sslmode={mode}&sslrootcert={Authority(tmp_path).file}", {}))

    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, expected)


def test_words_of_a_url_name_what_was_read(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with lent_parameters(conninfo(f"postgresql://u@db/x?sslmode=verify-ca&sslrootcert={authority.file}", {})) as words:
        content = Path(words["sslrootcert"]).read_bytes()

    assert words["sslmode"] == "verify-ca"
    assert content == authority.file.read_bytes()
    with lent_parameters(conninfo("postgresql://u@db/x?sslrootcert=system", {})) as words:
        assert words["sslrootcert"] == "system"


def test_lent_file_is_readable_twice_and_then_gone(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(b"x" * 300_000)
    with lent_file(tmp_path / "bundle") as name:
        read = [len(Path(name).read_bytes()) for _ in range(2)]

    assert read == [300_000, 300_000]
    with lent(b"") as empty:
        assert Path(empty).read_bytes() == b""
    assert not Path(name).exists()
