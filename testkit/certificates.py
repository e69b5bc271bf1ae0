"""Certificates of a test's own: an authority, and what it signs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True)
class Certificate:
    """A certificate with its chain in one file, its key in another; anybody may read them."""

    file: Path
    key: Path

    @property
    def not_after(self) -> float:
        return self._read().not_valid_after_utc.timestamp()

    @property
    def der(self) -> bytes:
        return self._read().public_bytes(Encoding.DER)

    def _read(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.file.read_bytes())


class Authority:
    """A certificate authority; `file` holds its certificate, for those that trust it."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._authority = trustme.CA()
        self._folder = folder
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._authority.cert_pem.bytes())
        self.file.chmod(0o644)

    def issue(self, *identities: str, expired: bool = False, days: int = 30) -> Certificate:
        """Sign a certificate for host names and addresses; an expired one has been so since yesterday."""
        now = datetime.now(UTC)
        began, ends = (now + timedelta(days=number) for number in ((-3, -1) if expired else (-1, days)))
        signed = self._authority.issue_cert(*identities, not_before=began, not_after=ends)
        stem = f"{self.file.stem}-{len(list(self._folder.iterdir()))}"
        made = Certificate(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        made.file.write_bytes(b"".join(blob.bytes() for blob in signed.cert_chain_pems))
        made.key.write_bytes(_pkcs8(signed.private_key_pem.bytes()))
        for file in (made.file, made.key):
            file.chmod(0o644)
        return made


def _pkcs8(key: bytes) -> bytes:
    """Return a key in the only form that Neo4j reads."""
    loaded = load_pem_private_key(key, None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
