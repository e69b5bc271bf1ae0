"""The address of a target: a URL, of which no message repeats a part, and the settings of TLS."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from exporter.config.secret_files import StrictModel
from exporter.config.tls import TlsFiles, client_context

NO_URL = "not a URL; special characters of a password are written as %40 and the like"
PLACE = re.compile(r"(\[[^][]*\]|[^][:]*)(:\d{0,5})?")  # of a server: its name or address, and its port
_KEYS = ("ca_file", "cert_file", "key_file", "server_name", "verify")


class Address(StrictModel):
    """A URL, and the keys for TLS beside it; any of them, also `verify: true`, turns TLS on.

    PostgreSQL's URLs may have libpq's parameters for TLS instead.
    """

    url: SecretStr
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = Field(default=None, min_length=1)
    verify: bool = True

    url_parts: ClassVar[Collection[str]] = ()  # what is read of a URL beside host and port: user, path, query
    url_advice: ClassVar[str] = "write scheme, host and port alone"

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return ("http", "https")

    @property
    def tls(self) -> bool:
        """Return whether TLS is certain, and set up by these keys or by the URL's scheme."""
        return self._scheme == "https" or "+" in self._scheme or bool(self._tls_keys)

    @property
    def tls_files(self) -> TlsFiles:
        verify = self.verify and not self._scheme.endswith("+ssc")
        return TlsFiles(self.ca_file, self.cert_file, self.key_file, verify)

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: SecretStr) -> SecretStr:
        cls.check_url(value.get_secret_value())
        return value

    @classmethod
    def check_url(cls, text: str) -> None:
        """Raise ValueError with a message of our own: those of libraries would repeat a password."""
        if not text.startswith(tuple(f"{scheme}://" for scheme in cls.schemes())):
            raise ValueError(f"expected a URL that starts with {' or '.join(s + '://' for s in cls.schemes())}")
        if not is_url(text):
            raise ValueError(NO_URL)
        if part := unread_part(text, cls.url_parts):
            raise ValueError(f"the URL has a {part}, which nobody reads: {cls.url_advice}")

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
        """Return why the URL does not go with keys for TLS, None where it does."""
        if self._scheme == "http":
            return "TLS needs a URL that starts with https://"
        if self._scheme.endswith("+s") and not self.verify:
            return f"{self._scheme}:// verifies; write {self._scheme}sc:// for TLS without"
        if self._scheme.endswith("+ssc") and "verify" in self._tls_keys and self.verify:
            return f"{self._scheme}:// does not verify; write {self._scheme.removesuffix('sc')}://"
        return None

    @property
    def _tls_keys(self) -> list[str]:
        return [name for name in _KEYS if name in self.model_fields_set]

    @property
    def _scheme(self) -> str:
        return urlsplit(self.url.get_secret_value()).scheme


def _try(files: TlsFiles) -> None:
    try:
        client_context(files)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None


def is_url(text: str) -> bool:
    """Return whether a text is a URL.

    A URL that an unescaped character of its password cuts short is none: clients would show the rest of the password
    as a host or a port.
    """
    try:
        parts = urlsplit(text)
        text.encode()
    except ValueError:
        return False
    places = parts.netloc.rpartition("@")[2].split(",")  # PostgreSQL takes several
    cut_off = "@" not in parts.netloc and "@" in parts.path + parts.fragment
    return not cut_off and all(PLACE.fullmatch(place) for place in places)


def unread_part(text: str, read: Collection[str]) -> str | None:
    """Name the first part of a URL beyond its host and port that is not among those that are read."""
    parts = urlsplit(text)
    found = {
        "user": "@" in parts.netloc,
        "path": parts.path not in ("", "/"),
        "query": "?" in text.partition("#")[0],
        "fragment": "#" in text,
    }
    return next((name for name, there in found.items() if there and name not in read), None)
