"""Access control: authentication, rate limit, request bodies and response headers."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from exporter.config.config import Config
from exporter.settings import RuntimeConfig
from exporter.web.app import create_app
from tests.support.factories import Events, basic_auth, hashed, info, monitored_target, write

TOKEN = {"Authorization": "Bearer a-token-of-the-test"}
CLOSED = [
    "/",
    "/targets/orders",
    "/metrics",
    "/probe?target=orders",
    "/findings",
    "/findings/orders",
    "/nothing",
    "/health2",
]
PROBES = ["/livez", "/startupz", "/readyz", "/health", "/health/targets/orders"]


def client(**web: Any) -> TestClient:
    """Return a client of an application whose one target is up."""
    target = {"name": "orders", "store": "postgres", "url": "postgresql://u@h/db"}
    app = create_app(RuntimeConfig(Config.model_validate({"targets": [target], "web": web})))
    events = Events(monitored_target())
    for event in (events.ping(0.0, info()), events.poll(0.0)):
        app.state.service.publish(event)
    return TestClient(app)


@pytest.fixture
def with_token() -> TestClient:
    return client(token="a-token-of-the-test")


def test_pages_without_authentication_are_open() -> None:
    """With their details."""
    pages = client()

    assert "targets" in pages.get("/health").json()
    assert [pages.get(path).status_code for path in CLOSED[:5]] == [200] * 5


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_pages_without_the_token_are_unauthorized(with_token: TestClient, path: str, method: str) -> None:
    """Also pages that do not exist."""
    answer = with_token.request(method, path)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.text == ("" if method == "HEAD" else "unauthorized\n")
    assert with_token.request(method, path, headers=TOKEN).status_code != 401


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_probes_need_no_authentication(with_token: TestClient, path: str, method: str) -> None:
    """Load balancers have no credentials; wrong ones change nothing."""
    for headers in ({}, TOKEN, {"Authorization": "Bearer wrong"}):
        assert (
            with_token.request(method, path, headers=headers).status_code == client().request(method, path).status_code
        )


@pytest.mark.parametrize("path", ["/health", "/health/targets/orders"])
def test_health_without_authentication_is_the_status_alone(with_token: TestClient, path: str) -> None:
    """With conditions, too: they decide the status and show no details."""
    status = client().get(path).json()["status"]

    assert with_token.get(path).json() == {"status": status}
    assert len(with_token.get(path, headers=TOKEN).json()) > 5

    failed = with_token.get("/health/targets/orders?max_lag=1s")
    assert (failed.status_code, failed.json()) == (503, {"status": "fail"})


@pytest.mark.parametrize(
    "value",
    ["Bearer a-token-of-the-tesT", "Bearer", "Bearer ", "Basic a-token-of-the-test", "a-token-of-the-test", "Bearer é"],
)
def test_wrong_token_is_unauthorized(with_token: TestClient, value: str) -> None:
    assert with_token.get("/metrics", headers={b"Authorization": value.encode()}).status_code == 401


def test_scheme_is_case_insensitive(with_token: TestClient) -> None:
    assert with_token.get("/metrics", headers={"Authorization": "bearer a-token-of-the-test"}).status_code == 200


def test_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A file that is missing or empty accepts no token."""
    file = write(tmp_path / "token", "first\n")
    pages = client(token_file=file)

    def status(token: str) -> int:
        return pages.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code

    assert (status("first"), status("second")) == (200, 401)

    write(file, "second\n")
    assert (status("first"), status("second")) == (401, 200)

    write(file, "\n")
    assert (status("second"), status("")) == (401, 401)

    file.unlink()
    assert (status("second"), status("")) == (401, 401)


def test_livez_without_authentication_names_no_target(with_token: TestClient) -> None:
    """The failure itself is public."""
    answer = with_token.get("/livez")

    assert (answer.status_code, answer.text) == (503, "failed\n")
    assert "[-]orders failed: no poll for too long\n" in with_token.get("/livez", headers=TOKEN).text


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/nothing"])
def test_every_response_has_the_headers(with_token: TestClient, path: str) -> None:
    """Also an error: no cache keeps it, no browser guesses its type."""
    headers = with_token.get(path).headers

    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert headers["date"].endswith(" GMT")


@pytest.fixture
def both(tmp_path: Path) -> TestClient:
    """Return a client of an application with a token and a user."""
    file = write(tmp_path / "web.yml", f"basic_auth_users: {{alice: '{hashed('wonder:land é').get_secret_value()}'}}\n")
    return client(token="a-token-of-the-test", config_file=file)


def test_user_of_the_web_file_or_token_is_authenticated(both: TestClient) -> None:
    """Either opens all pages and the details of /health; without them, the response names both schemes."""
    for headers in (TOKEN, basic_auth("alice", "wonder:land é")):
        assert both.get("/metrics", headers=headers).status_code == 200
        assert "targets" in both.get("/health", headers=headers).json()
    for headers in ({}, basic_auth("alice", "wrong"), basic_auth("carol", "wonder:land é")):
        assert both.get("/metrics", headers=headers).status_code == 401
        assert list(both.get("/health", headers=headers).json()) == ["status"]

    assert both.get("/metrics").headers.get_list("www-authenticate") == ['Basic realm="datatier-exporter"', "Bearer"]


@pytest.mark.parametrize("credentials", ["", "====", "YWxpY2U=", "/w==", "Og==", "é", "YWxpY2U6d29uZGVy\x7f"])
def test_malformed_credentials_are_unauthorized(both: TestClient, credentials: str) -> None:
    answer = both.get("/metrics", headers={b"Authorization": b"Basic " + credentials.encode()})

    assert answer.status_code == 401


def test_users_change_with_the_web_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is broken, half written or empty changes nothing."""
    monkeypatch.setattr("exporter.config.web_config_file.LOOK_EVERY", 0.0)
    file = write(tmp_path / "web.yml", f"basic_auth_users: {{alice: '{hashed('one').get_secret_value()}'}}\n")
    pages = client(config_file=file)

    def statuses() -> tuple[int, int]:
        one, two = (pages.get("/metrics", headers=basic_auth("alice", word)).status_code for word in ("one", "two"))
        return one, two

    assert statuses() == (200, 401)

    write(file, f"basic_auth_users: {{alice: '{hashed('two').get_secret_value()}'}}\n# longer\n")
    assert statuses() == (401, 200)

    write(file, "basic_auth_users: {alice: nonsense}\n")
    assert statuses() == (401, 200)

    for half in ("", "{}\n"):
        write(file, half)
        assert statuses() == (401, 200)


def test_headers_of_the_web_file_are_on_every_response(tmp_path: Path) -> None:
    """They replace the default ones."""
    headers = "{Content-Security-Policy: default-src 'self', X-Frame-Options: deny}"
    pages = client(config_file=write(tmp_path / "web.yml", f"http_server_config: {{headers: {headers}}}\n"))

    for path in ("/", "/livez", "/nothing"):
        found = pages.get(path).headers
        assert (found["content-security-policy"], found["x-frame-options"]) == ("default-src 'self'", "deny")
        assert found["x-content-type-options"] == "nosniff"


def test_rate_limit_of_the_web_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst, then one each interval; probes are neither counted nor rejected."""
    now = 1000.0
    monkeypatch.setattr("exporter.web.middleware.time.monotonic", lambda: now)
    pages = client(config_file=write(tmp_path / "web.yml", "rate_limit: {interval: 2s, burst: 3}\n"))

    assert [pages.get("/metrics").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert [pages.get("/startupz").status_code for _ in range(5)] == [200] * 5

    now += 4.5
    assert [pages.get("/metrics").status_code for _ in range(3)] == [200, 200, 429]

    now += 3600
    assert [pages.get("/metrics").status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/nothing"])
def test_request_with_a_body_is_rejected(path: str) -> None:
    """An empty body is accepted."""
    pages = client()

    assert pages.request("POST", path, content=b"a").status_code == 413
    assert pages.request("GET", path, content=iter([b"a"])).status_code == 413
    assert pages.request("POST", path, content=b"").status_code in (404, 405)
    assert pages.request("POST", path, content=iter([])).status_code in (404, 405)
    assert pages.request("GET", path, content=iter([])).status_code == pages.get(path).status_code


def test_internal_error_shows_no_details(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.web.metrics_endpoints.findings", lambda *_: 1 / 0)
    answer = TestClient(client().app, raise_server_exceptions=False).get("/findings")

    assert (answer.status_code, answer.text) == (500, "internal server error\n")


def test_rate_limit_counts_each_client(tmp_path: Path) -> None:
    """One client does not use up the limit of another; all addresses of an IPv6 /64 network are one client."""
    web = write(tmp_path / "web.yml", "rate_limit: {interval: 1h, burst: 2}\n")
    app = client(config_file=web).app

    def statuses(*addresses: str) -> list[int]:
        return [TestClient(app, client=(address, 1)).get("/metrics").status_code for address in addresses]

    assert statuses("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1") == [200, 200, 429]
    assert statuses("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1") == [200, 200, 429, 200]
    assert statuses("192.0.2.2") == [200]
