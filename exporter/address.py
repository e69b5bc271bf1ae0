"""Where a target is, and how TLS is spoken to it."""

import re
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from exporter.tls_context import TlsFiles, client_context

_PLACE = re.compile(r"(\[[^][]*\]|[^][:]*)(:\d{0,5})?")  # of a server: its name or address, and its port
_KEYS = ("ca_file", "cert_file", "key_file", "server_name", "verify")


class Address(BaseModel):
    """A URL, and the keys that TLS takes beside it; any of them, also `verify: true`, asks for TLS.

    PostgreSQL's URLs may instead say themselves, in libpq's words, what TLS they want.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = Field(default=None, min_length=1)
    verify: bool = True

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return ("http", "https")

    @property
    def tls(self) -> bool:
        """Tell whether TLS is certain, and set up by us: what else libpq's words ask for is asyncpg's and libpq's."""
        return self._scheme == "https" or "+" in self._scheme or bool(self._tls_keys) or self._trusts_system

    @property
    def tls_files(self) -> TlsFiles:
        verify = self.verify and not self._scheme.endswith("+ssc")
        return TlsFiles(self.ca_file, self.cert_file, self.key_file, verify)

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(tuple(f"{scheme}://" for scheme in cls.schemes())):
            raise ValueError(f"expected a URL that starts with {' or '.join(s + '://' for s in cls.schemes())}")
        if not _is_url(value.get_secret_value()):  # in words of our own: others' would repeat it
            raise ValueError("not a URL; special characters of a password are written as %40 and the like")
        return value

    @model_validator(mode="after")
    def _keys_agree(self) -> Self:
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs the cert_file that it belongs to")
        if self.ca_file and not self.tls_files.verify:
            raise ValueError("ca_file has no use where nothing is verified: by verify: false, or +ssc in the URL")
        if self._tls_keys and (problem := self._contradiction()):
            raise ValueError(f"{', '.join(self._tls_keys)}: {problem}")
        if self.ca_file or self.cert_file:
            _try(self.tls_files)
        return self

    def _contradiction(self) -> str | None:
        """Say what in the URL does not go with keys for TLS."""
        if self._scheme == "http":
            return "TLS needs a URL that starts with https://"
        if self._scheme.endswith("+s") and not self.verify:
            return f"{self._scheme}:// verifies; write {self._scheme}sc:// for TLS without"
        if self._scheme.endswith("+ssc") and "verify" in self._tls_keys and self.verify:
            return f"{self._scheme}:// does not verify; write {self._scheme.removesuffix('sc')}://"
        if self._scheme.startswith("postgres"):
            return self._libpq_contradiction()
        return None

    def _libpq_contradiction(self) -> str | None:
        parameters = self._parameters
        for name in parameters:
            if name.startswith("ssl") and name != "sslmode":
                return f"{name} in the URL says the same in another way; keep to one of them"
        mode = "verify-full" if self.verify else "require"
        said = parameters.get("sslmode", [mode])[-1]
        return None if said == mode else f"they mean sslmode={mode}, the URL says sslmode={said}"

    @property
    def _tls_keys(self) -> list[str]:
        return [name for name in _KEYS if name in self.model_fields_set]

    @property
    def _trusts_system(self) -> bool:
        """Tell whether libpq's word for the machine's authorities is there; asyncpg does not know it."""
        return self._parameters.get("sslrootcert") == ["system"]

    @property
    def _scheme(self) -> str:
        return urlsplit(self.url.get_secret_value()).scheme

    @property
    def _parameters(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.url.get_secret_value()).query)


def _is_url(text: str) -> bool:
    """Tell whether it is one, also when a password ends it early: clients would print the rest as a host or a port."""
    try:
        parts = urlsplit(text)
        text.encode()
    except ValueError:
        return False
    places = parts.netloc.rpartition("@")[2].split(",")  # PostgreSQL takes several
    cut_off = "@" not in parts.netloc and "@" in parts.path + parts.fragment
    return not cut_off and all(_PLACE.fullmatch(place) for place in places)


def _try(files: TlsFiles) -> None:
    try:
        client_context(files)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
