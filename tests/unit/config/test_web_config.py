"""The web.config.yml of the exporter-toolkit: what its documentation shows loads; what it refuses is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.web_config import CIPHERS
from exporter.config.web_config_file import Loaded, WebFile
from exporter.errors import ConfigError
from tests.support.factories import write
from tests.support.served_app import AUTHORITY, certificate

CERTIFICATE = "  cert_file: server.crt\n  key_file: server.key\n"
TLS = f"tls_server_config:\n{CERTIFICATE}"
HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
Load = Callable[[str], Loaded]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    certificate(tmp_path)
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    return lambda text: WebFile(write(tmp_path / "web.yml", text)).loaded


@pytest.mark.parametrize(
    "text",
    [
        TLS,
        f"{TLS}basic_auth_users:\n  alice: {HASH}\n  bob: {HASH}\n",
        f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n",
        f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [a.example, 10.0.0.1]\n",
        f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n",
        f"{TLS}  client_auth_type: VerifyClientCertIfGiven\n",
        f"{TLS}  client_auth_type: RequestClientCert\n  client_ca_file: ca.crt\n",
        f"{TLS}  client_auth_type: NoClientCert\n",
        f"{TLS}  client_auth_type: ''\n  client_ca_file: ''\n  client_allowed_sans:\n",
        f"{TLS}  min_version: TLS13\n  max_version: TLS13\n",
        f"{TLS}  min_version: TLS10\n  max_version: TLS12\n",
        f"{TLS}  cipher_suites: [{', '.join(CIPHERS)}]\n",
        f"{TLS}  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n  prefer_server_cipher_suites: false\n",
        f"{TLS}  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519, X25519MLKEM768]\n",
        f"{TLS}  curve_preferences: [X25519]\n",
        f"{TLS}http_server_config: {{http2: false}}\n",
    ],
)
def test_files_of_the_toolkit_are_served_with_tls(load: Load, text: str) -> None:
    """Whatever its documentation and its own tests hold for good, but for certificates taken unseen."""
    loaded = load(text)

    assert loaded.context is not None
    assert loaded.not_after is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}\n",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n",
        "rate_limit: {interval: 0, burst: 0}\n",
    ],
)
def test_an_empty_file_asks_for_nothing(load: Load, text: str) -> None:
    loaded = load(text)

    assert (loaded.context, loaded.config.basic_auth_users, loaded.config.rate_limit.interval) == (None, {}, 0.0)


def test_certificate_and_key_may_be_in_the_file_itself(load: Load, tmp_path: Path) -> None:
    """And the authority of clients, too."""
    cert, key, ca = (
        (tmp_path / name).read_text().replace("\n", "\n    ") for name in ("server.crt", "server.key", "ca.crt")
    )
    text = f"tls_server_config:\n  cert: |\n    {cert}\n  key: |\n    {key}\n"

    assert load(text).not_after == load(TLS).not_after
    assert load(f"{text}  client_ca: |\n    {ca}\n  client_auth_type: VerifyClientCertIfGiven\n").context


def test_headers_that_are_blank_are_unset(load: Load) -> None:
    text = "http_server_config:\n  headers: {X-Frame-Options: deny, Content-Security-Policy: ''}\n"

    assert load(text).config.http_server_config.headers == {"X-Frame-Options": "deny"}


WRONG = """
tls_config: {} | tls_config: unknown key
tls_server_config: {junk: 1} | tls_server_config.junk: unknown key
tls_server_config: {cert_file: server.crt} | tls_server_config: name one of key and key_file
tls_server_config: {key_file: server.key} | tls_server_config: name one of cert and cert_file
tls_server_config: {client_auth_type: RequestClientCert} | tls_server_config: name one of cert and cert_file
tls_server_config: {PAIR, cert: x} | tls_server_config: name one of cert and cert_file
tls_server_config: {PAIR, client_ca_file: ca.crt} | tls_server_config: a client_ca wants a client_auth_type that asks \
for certificates
tls_server_config: {PAIR, client_allowed_sans: [a]} | tls_server_config: client_allowed_sans needs client_auth_type: \
RequireAndVerifyClientCert
tls_server_config: {PAIR, min_version: TLS13, max_version: TLS12} | tls_server_config: min_version is above max_version
tls_server_config: {PAIR, max_version: TLS11} | tls_server_config.max_version: OpenSSL speaks TLS12 and TLS13 only
tls_server_config: {PAIR, min_version: SSL3} | tls_server_config.min_version: expected 'TLS10', 'TLS11', 'TLS12' or \
'TLS13'
tls_server_config: {PAIR, curve_preferences: [CurveX]} | tls_server_config.curve_preferences.0: expected 'CurveP256', \
'CurveP384', 'CurveP521', 'X25519' or 'X25519MLKEM768'
tls_server_config: {PAIR, client_auth_type: RequireAnyClientCert} | tls_server_config.client_auth_type: \
RequireAnyClientCert takes any certificate unseen: not offered, use RequireAndVerifyClientCert
tls_server_config: {cert_file: no.crt, key_file: server.key} | tls_server_config.cert_file: FOLDER/no.crt cannot be \
read: No such file or directory
tls_server_config: {cert_file: server.crt, key_file: other.key} | tls_server_config.key_file: not the key of the \
certificate
tls_server_config: {cert_file: web.yml, key_file: server.key} | tls_server_config.cert_file: expected a certificate \
and its key, in PEM and without a passphrase
tls_server_config: {PAIR, client_auth_type: VerifyClientCertIfGiven, client_ca_file: web.yml} | \
tls_server_config.client_ca_file: expected certificates of authorities, in PEM
basic_auth_users: {alice: secret} | basic_auth_users: alice: not a bcrypt hash, such as `htpasswd -nBC 10 alice` prints
http_server_config: {headers: {Server: x}} | http_server_config.headers: 'Server' cannot be set; there are \
Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security
http_server_config: {headers: {X-Frame-Options: allow}} | http_server_config.headers: X-Frame-Options: expected deny \
or sameorigin
http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb"}} | http_server_config.headers: X-XSS-Protection: a header \
is one line of plain characters
rate_limit: {interval: 1s} | rate_limit: burst: at least 1, or every request would be refused
rate_limit: {interval: 1} | rate_limit.interval: '1' is not a duration such as 500ms, 15s, 5m or 1h30m
"""


@pytest.mark.parametrize("line", WRONG.strip().splitlines())
def test_invalid_web_config_names_file_line_and_key(load: Load, tmp_path: Path, line: str) -> None:
    """With file, line and key, as in every file of ours."""
    certificate(tmp_path, stem="other")
    text, _, problem = line.replace("FOLDER", str(tmp_path)).partition(" | ")
    with pytest.raises(ConfigError) as caught:
        load(f"# a comment\n{text.replace('PAIR', 'cert_file: server.crt, key_file: server.key')}\n")

    assert caught.value.problems == [f"{tmp_path}/web.yml:2: {problem}"]


def test_unknown_cipher(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"web.yml:4: tls_server_config.cipher_suites.0: 'TLS_RC4' is not a cipher"):
        load(f"{TLS}  cipher_suites: [TLS_RC4]\n")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yml: cannot be read: No such file or directory"):
        WebFile(tmp_path / "none.yml")
