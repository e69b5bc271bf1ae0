"""The web.config.yml of the Prometheus exporter-toolkit: TLS, users, headers, a rate limit."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from exporter.config.documents import YamlDocument, read_document
from exporter.config.secret_files import StrictModel
from exporter.units import parse_duration

ClientAuth = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "RequireClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]
Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
Curve = Literal["CurveP256", "CurveP384", "CurveP521", "X25519", "X25519MLKEM768"]

HEADERS = (
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
)
_VALUES = {"X-Frame-Options": ("deny", "sameorigin"), "X-Content-Type-Options": ("nosniff",)}
_BCRYPT = re.compile(r"\$2[abxy]?\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_LINE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")

CIPHERS: Mapping[str, str | None] = {  # Go's name to OpenSSL's; those of TLS 1.3 cannot be chosen
    "TLS_AES_128_GCM_SHA256": None,
    "TLS_AES_256_GCM_SHA384": None,
    "TLS_CHACHA20_POLY1305_SHA256": None,
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}


def _known_cipher(value: str) -> str:
    if value not in CIPHERS:
        raise ValueError(f"{value!r} is not a cipher suite; there are {', '.join(CIPHERS)}")
    return value


def _interval(value: Any) -> float:
    return 0.0 if str(value) in ("0", "0s") else parse_duration(value)


class Section(StrictModel):
    @model_validator(mode="before")
    @classmethod
    def _without_empty_values(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: entry for key, entry in value.items() if entry not in (None, "")}
        return {} if value is None else value


class TlsServer(Section):
    cert: str | None = None
    cert_file: Path | None = None
    key: SecretStr | None = None
    key_file: Path | None = None
    client_ca: str | None = None
    client_ca_file: Path | None = None
    client_auth_type: ClientAuth = "NoClientCert"
    client_allowed_sans: tuple[str, ...] = ()
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[Annotated[str, AfterValidator(_known_cipher)], ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[Curve, ...] = ()

    @field_validator("client_auth_type")
    @classmethod
    def _supported_auth(cls, value: ClientAuth) -> ClientAuth:
        if value in ("RequireAnyClientCert", "RequireClientCert"):
            raise ValueError(f"{value} takes any certificate unseen: not offered, use RequireAndVerifyClientCert")
        return value

    @field_validator("max_version")
    @classmethod
    def _supported_version(cls, value: Version) -> Version:
        if value < "TLS12":
            raise ValueError("OpenSSL speaks TLS12 and TLS13 only")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.enabled:
            return self
        for name in ("cert", "key"):
            given = [key for key in (name, f"{name}_file") if getattr(self, key) is not None]
            if len(given) != 1:
                raise ValueError(f"name one of {name} and {name}_file")
        if self.client_ca and self.client_ca_file:
            raise ValueError("client_ca and client_ca_file exclude each other")
        if (self.client_ca or self.client_ca_file) and self.client_auth_type == "NoClientCert":
            raise ValueError("a client_ca wants a client_auth_type that asks for certificates")
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError("client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert")
        if self.min_version > self.max_version:
            raise ValueError("min_version is above max_version")
        return self

    @property
    def enabled(self) -> bool:
        given = (self.cert, self.cert_file, self.key, self.key_file, self.client_ca, self.client_ca_file)
        return any(given) or self.client_auth_type != "NoClientCert"

    @property
    def files(self) -> dict[str, Path]:
        """Return the files that are named, by key."""
        named = {key: getattr(self, key) for key in ("cert_file", "key_file", "client_ca_file")}
        return {key: file for key, file in named.items() if file is not None}


class HttpServer(Section):
    """`http2` is accepted and has no effect: the exporter serves HTTP/1.1, which every client speaks."""

    http2: bool = True
    headers: dict[str, str] = Field(default_factory=dict)

    @field_validator("headers", mode="before")
    @classmethod
    def _allowed(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for name, text in value.items():
            if name not in HEADERS:
                raise ValueError(f"{name!r} cannot be set; there are {', '.join(HEADERS)}")
            if text and name in _VALUES and text not in _VALUES[name]:
                raise ValueError(f"{name}: expected {' or '.join(_VALUES[name])}")
            if not _LINE.fullmatch(str(text)):
                raise ValueError(f"{name}: a header is one line of plain characters")
        return {name: text for name, text in value.items() if text}


class RateLimit(Section):
    """A token bucket: one request each `interval`, `burst` at once; an interval of 0 is no limit."""

    interval: Annotated[float, BeforeValidator(_interval)] = 0.0
    burst: int = 0

    @model_validator(mode="after")
    def _allows_some_requests(self) -> Self:
        if self.interval and self.burst < 1:
            raise ValueError("burst: at least 1, or every request would be refused")
        return self


class WebConfig(Section):
    tls_server_config: TlsServer = TlsServer()
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, SecretStr] = Field(default_factory=dict)
    rate_limit: RateLimit = RateLimit()

    @field_validator("basic_auth_users")
    @classmethod
    def _hashed(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, hashed in value.items():
            if not _BCRYPT.fullmatch(hashed.get_secret_value()):
                raise ValueError(f"{name}: not a bcrypt hash, such as `htpasswd -nBC 10 {name}` prints")
        return value


def read_web_config(path: Path) -> tuple[WebConfig, YamlDocument]:
    """Read the file, its paths relative to its folder; raise ConfigError with every problem."""
    document = read_document(path)
    config = document.validate(WebConfig, document.data)
    tls = config.tls_server_config
    files = {key: path.parent / file for key, file in tls.files.items()}
    return config.model_copy(update={"tls_server_config": tls.model_copy(update=files)}), document
