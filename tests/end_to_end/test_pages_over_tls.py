"""TLS of the pages, seen from the other end of a real socket."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.support.served_app import AUTHORITY, STRANGER, ServedApp, certificate, trusting, wait_until

TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key"
CLIENTS = f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt"
REFUSED = (ssl.SSLError, ConnectionError)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certificate(tmp_path)
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    return tmp_path


class Log:
    """What the web file complains of; pollers speak up, too."""

    def __init__(self, events: list[EventDict]) -> None:
        self._events = events

    @property
    def errors(self) -> list[str]:
        return [event["error"] for event in self._events if event["event"].startswith("web file not taken over")]


@pytest.fixture
def log() -> Iterator[Log]:
    with capture_logs() as events:
        yield Log(events)


@pytest.fixture
def served(folder: Path, request: pytest.FixtureRequest) -> Iterator[ServedApp]:
    with ServedApp(folder, f"{request.param}}}\n") as served:
        yield served


def s_client(served: ServedApp, *arguments: str) -> str:
    """Return what openssl says of a handshake and an answer."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on the PATH")
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", "-ign_eof", *arguments]
    ask = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    done = subprocess.run(command, input=ask, check=False, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


@pytest.mark.parametrize("served", [TLS], indirect=True)
def test_a_client_that_trusts_the_authority(served: ServedApp) -> None:
    """It gets a response; a client that does not trust it gets none, and none gets one in plain HTTP."""
    assert served.get(tls=trusting()).body == b"ok\n"
    with pytest.raises(ssl.SSLCertVerificationError):
        served.get(tls=ssl.create_default_context())
    with pytest.raises(ConnectionError):
        served.get()


@pytest.mark.parametrize(
    ("served", "spoken", "refused"),
    [(f"{TLS}, min_version: TLS13", "-tls1_3", "-tls1_2"), (f"{TLS}, max_version: TLS12", "-tls1_2", "-tls1_3")],
    indirect=["served"],
)
def test_versions(served: ServedApp, spoken: str, refused: str) -> None:
    """As openssl sees them: the one is spoken, the other is not."""
    assert "200 OK" in s_client(served, spoken)
    assert "Cipher is (NONE)" in s_client(served, refused)


@pytest.mark.parametrize("served", [TLS], indirect=True)
def test_old_versions_are_never_spoken(served: ServedApp) -> None:
    """Not even to a client that has nothing better; HTTP/1.1 is what both agree on."""
    assert "200 OK" not in s_client(served, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    assert "ALPN protocol: http/1.1" in s_client(served, "-alpn", "h2,http/1.1")


@pytest.mark.parametrize(
    "served",
    [f"{TLS}, max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"],
    indirect=True,
)
def test_cipher_suites(served: ServedApp) -> None:
    """By Go's names; no other is spoken."""
    assert "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384" in s_client(served)
    assert "200 OK" not in s_client(served, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")


@pytest.mark.parametrize("served", [f"{TLS}, cipher_suites: [TLS_AES_128_GCM_SHA256]"], indirect=True)
def test_suites_of_tls_1_3_alone_mean_that_version_alone(served: ServedApp) -> None:
    assert "200 OK" in s_client(served, "-tls1_3")
    assert "200 OK" not in s_client(served, "-tls1_2")


@pytest.mark.parametrize("served", [f"{TLS}, curve_preferences: [CurveP384]"], indirect=True)
def test_a_curve(served: ServedApp) -> None:
    assert "Server Temp Key: ECDH, secp384r1" in s_client(served)
    assert "200 OK" not in s_client(served, "-groups", "P-256")


@pytest.mark.parametrize("served", [CLIENTS], indirect=True)
def test_clients_must_show_a_certificate(served: ServedApp) -> None:
    """Of our authority: without one, or with another authority's, the handshake fails."""
    assert served.get(tls=trusting(("anyone.example",))).status == 200
    for context in (trusting(), trusting(("anyone.example",), STRANGER)):
        with pytest.raises(REFUSED):
            served.get(tls=context)


@pytest.mark.parametrize(
    "served", [f"{TLS}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.crt"], indirect=True
)
def test_a_certificate_that_is_given_is_verified(served: ServedApp) -> None:
    assert served.get(tls=trusting()).status == 200
    assert served.get(tls=trusting(("anyone.example",))).status == 200
    with pytest.raises(REFUSED):
        served.get(tls=trusting(("anyone.example",), STRANGER))


@pytest.mark.parametrize(
    "served", [f"{TLS}, client_auth_type: RequestClientCert, client_ca_file: ca.crt"], indirect=True
)
def test_client_certificate_is_optional(served: ServedApp) -> None:
    """Any client is served, as the toolkit would."""
    assert served.get(tls=trusting()).status == 200
    assert served.get(tls=trusting(("anyone.example",), STRANGER)).status == 200


@pytest.mark.parametrize(
    "served", [f"{CLIENTS}, client_allowed_sans: [prometheus.example, 10.1.2.3, ops@example.com]"], indirect=True
)
def test_only_the_allowed_names_are_accepted(served: ServedApp) -> None:
    """Any kind of name; a good certificate with none of them is refused before a request is read."""
    for name in ("prometheus.example", "10.1.2.3", "ops@example.com"):
        assert served.get(tls=trusting((name, "another.example"))).status == 200
    with pytest.raises(REFUSED):
        served.get(tls=trusting(("another.example",)))


@pytest.mark.parametrize("served", [CLIENTS], indirect=True)
def test_certificates_and_authorities_rotate(served: ServedApp) -> None:
    """New files are served to new connections, without a restart; a client of the old authority is out."""
    certificate(served.folder, "127.0.0.1", "renewed.example")
    STRANGER.cert_pem.write_to_path(str(served.folder / "ca.crt"))
    client = trusting(("anyone.example",), STRANGER)
    wait_until(lambda: _answers(served, client))

    assert ("DNS", "renewed.example") in _names(served, client)
    with pytest.raises(REFUSED):
        served.get(tls=trusting(("anyone.example",)))


@pytest.mark.parametrize("served", [TLS], indirect=True)
def test_half_a_rotation_changes_nothing(served: ServedApp, log: Log) -> None:
    """A certificate whose key has not come yet: the old pair is served, and the log says so once."""
    key = (served.folder / "server.key").read_bytes()
    certificate(served.folder, "127.0.0.1", "renewed.example")
    renewed = (served.folder / "server.key").read_bytes()
    (served.folder / "server.key").write_bytes(key)
    wait_until(lambda: _answers(served, trusting()) and log.errors)
    for _ in range(3):
        assert ("DNS", "renewed.example") not in _names(served, trusting())

    [error] = log.errors
    assert error.endswith("tls_server_config.key_file: not the key of the certificate")

    (served.folder / "server.key").write_bytes(renewed)
    wait_until(lambda: ("DNS", "renewed.example") in _names(served, trusting()))


@pytest.mark.parametrize("served", [TLS], indirect=True)
def test_reload_does_not_end_tls(served: ServedApp, log: Log) -> None:
    """A web file that no longer names a certificate, or is gone, leaves TLS on."""
    served.web_file.write_text("basic_auth_users: {}\n")
    wait_until(lambda: served.get(tls=trusting()).status == 200 and log.errors)
    assert log.errors[0].endswith("tls_server_config: TLS begins and ends only with a restart")

    served.web_file.unlink()
    wait_until(lambda: served.get(tls=trusting()).status == 200 and len(log.errors) == 2)
    assert log.errors[1].endswith("cannot be read: No such file or directory")


@pytest.mark.parametrize("served", [TLS], indirect=True)
def test_expiry_of_the_pages_certificate_is_a_metric(served: ServedApp) -> None:
    """Beside those of the stores, and after a rotation that of the new one."""

    def shown() -> list[str]:
        page = served.get("/metrics", tls=trusting()).body.decode()
        start = 'datatier_tls_not_after_timestamp_seconds{store="exporter",target="exporter"} '
        return [line.removeprefix(start) for line in page.splitlines() if line.startswith(start)]

    def real() -> float:
        pem = (served.folder / "server.crt").read_bytes()
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()

    assert [float(value) for value in shown()] == [real()]

    made = AUTHORITY.issue_cert("127.0.0.1", not_after=datetime(2031, 5, 7, tzinfo=UTC))
    (served.folder / "server.crt").write_bytes(made.cert_chain_pems[0].bytes())
    made.private_key_pem.write_to_path(str(served.folder / "server.key"))
    wait_until(lambda: [float(value) for value in shown()] == [real()])
    assert real() == datetime(2031, 5, 7, tzinfo=UTC).timestamp()


def _answers(served: ServedApp, context: ssl.SSLContext) -> bool:
    try:
        return served.get(tls=context).status == 200
    except REFUSED:
        return False


def _names(served: ServedApp, context: ssl.SSLContext) -> tuple[tuple[str, str], ...]:
    with context.wrap_socket(served.connect(), server_hostname="127.0.0.1") as client:
        return dict(client.getpeercert() or {})["subjectAltName"]  # type: ignore[return-value]  # typed as anything
