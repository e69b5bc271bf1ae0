"""The context that clients are given, without a server."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from exporter.config.tls import TlsFiles, client_context
from exporter.datastores.tls import CertificateExpiry, ReloadingClientContext
from testkit.certificates import Authority

TRUSTING = TlsFiles(None, None, None, verify=True)


def test_client_without_a_server_name_is_refused() -> None:
    """OpenSSL would check no name at all."""
    with pytest.raises(ssl.SSLError, match="whom it expects"):
        ReloadingClientContext(TRUSTING).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


def test_settings_of_a_client_do_not_weaken_the_verification() -> None:
    """What is set on the context that a client holds does not reach the one that verifies."""
    tls = ReloadingClientContext(TRUSTING)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    made = tls.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.name")

    assert made.context.verify_mode is ssl.CERT_REQUIRED
    assert made.context.check_hostname
    assert tls.certificate is None


def test_authorities_of_the_machine_are_loaded_once() -> None:
    """They take 30 ms and 2 MiB; files are loaded again when they change."""
    assert client_context(TRUSTING) is client_context(TlsFiles(None, None, None, verify=True))


def test_changed_file_is_loaded_again(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = TlsFiles(authority.file, None, None, verify=True)
    before = client_context(files)

    assert client_context(files) is before

    authority.file.write_bytes(Authority(tmp_path, "next").file.read_bytes() + b"\n")

    assert client_context(files) is not before


def test_encrypted_key_is_an_error_and_no_prompt(tmp_path: Path) -> None:
    """There is no terminal to type a password on."""
    ours = Authority(tmp_path).issue("monitor")
    key = load_pem_private_key(ours.key.read_bytes(), None)
    ours.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")))
    with pytest.raises(OSError, match="the private key is encrypted"):
        client_context(TlsFiles(None, ours.file, ours.key, verify=False))


async def test_certificate_expiry_parses_each_certificate_once(tmp_path: Path) -> None:
    """Each certificate is read once; of what is none there is no time."""
    certificate = Authority(tmp_path).issue("a.name")
    expiry = CertificateExpiry()

    assert await expiry.of(None) is None
    assert await expiry.of(certificate.der) == certificate.not_after
    assert await expiry.of(b"no certificate") is None
    assert await expiry.of(certificate.der) == certificate.not_after


def test_error_names_the_file_and_the_problem(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ssl.SSLError) as caught:
        client_context(TlsFiles(tmp_path / "empty", None, None, verify=True))

    assert str(caught.value) == f"{tmp_path}/empty holds no certificate of an authority in PEM"
