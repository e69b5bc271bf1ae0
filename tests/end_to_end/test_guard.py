"""Who sees what, once authentication is configured."""

import base64
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from starlette.testclient import TestClient

from exporter.config.config import Config
from exporter.settings import RuntimeConfig
from exporter.web.app import create_app
from tests.support.commands import closed
from tests.support.exporter_process import Exporter
from tests.support.factories import Events, hashed, info, monitored_target, write

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
def guarded() -> TestClient:
    return client(token="a-token-of-the-test")


def test_nobody_has_to_authenticate_unless_told() -> None:
    """Every page, with its details."""
    site = client()

    assert "targets" in site.get("/health").json()
    assert [site.get(path).status_code for path in CLOSED[:5]] == [200] * 5


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_pages_want_the_token(guarded: TestClient, path: str, method: str) -> None:
    """Even to tell that there is no such page."""
    answer = guarded.request(method, path)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.text == ("" if method == "HEAD" else "unauthorized\n")
    assert guarded.request(method, path, headers=TOKEN).status_code != 401


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_probes_answer_everybody(guarded: TestClient, path: str, method: str) -> None:
    """Load balancers have no credentials; wrong ones change nothing."""
    for headers in ({}, TOKEN, {"Authorization": "Bearer wrong"}):
        assert guarded.request(method, path, headers=headers).status_code == client().request(method, path).status_code


@pytest.mark.parametrize("path", ["/health", "/health/targets/orders"])
def test_health_tells_a_stranger_its_status_alone(guarded: TestClient, path: str) -> None:
    """With conditions, too: they decide the status, and show nothing."""
    status = client().get(path).json()["status"]

    assert guarded.get(path).json() == {"status": status}
    assert len(guarded.get(path, headers=TOKEN).json()) > 5

    failed = guarded.get("/health/targets/orders?max_lag=1s")
    assert (failed.status_code, failed.json()) == (503, {"status": "fail"})


@pytest.mark.parametrize(
    "value",
    ["Bearer a-token-of-the-tesT", "Bearer", "Bearer ", "Basic a-token-of-the-test", "a-token-of-the-test", "Bearer é"],
)
def test_what_is_not_the_token(guarded: TestClient, value: str) -> None:
    assert guarded.get("/metrics", headers={b"Authorization": value.encode()}).status_code == 401


def test_the_scheme_is_written_as_one_likes(guarded: TestClient) -> None:
    assert guarded.get("/metrics", headers={"Authorization": "bearer a-token-of-the-test"}).status_code == 200


def test_a_token_in_a_file_may_rotate(tmp_path: Path) -> None:
    """It is read again; one that went away or became empty opens nothing."""
    file = write(tmp_path / "token", "first\n")
    site = client(token_file=file)

    def status(token: str) -> int:
        return site.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code

    assert (status("first"), status("second")) == (200, 401)

    write(file, "second\n")
    assert (status("first"), status("second")) == (401, 200)

    write(file, "\n")
    assert (status("second"), status("")) == (401, 401)

    file.unlink()
    assert (status("second"), status("")) == (401, 401)


def test_a_wedged_poller_is_not_named_to_strangers(guarded: TestClient) -> None:
    """That it lives no more is for all to know."""
    answer = guarded.get("/livez")

    assert (answer.status_code, answer.text) == (503, "failed\n")
    assert "[-]orders failed: no poll for too long\n" in guarded.get("/livez", headers=TOKEN).text


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/nothing"])
def test_every_answer_is_dressed(guarded: TestClient, path: str) -> None:
    """A refusal, too: no cache keeps it, no browser guesses."""
    headers = guarded.get(path).headers

    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert headers["date"].endswith(" GMT")


@pytest.fixture
def both(tmp_path: Path) -> TestClient:
    """Return a client of an application that knows a token and a user."""
    file = write(tmp_path / "web.yml", f"basic_auth_users: {{alice: '{hashed('wonder:land é').get_secret_value()}'}}\n")
    return client(token="a-token-of-the-test", config_file=file)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_a_user_of_the_web_file_is_as_good_as_the_token(both: TestClient) -> None:
    """Either opens all pages and the details of health; the two ways are named to who has neither."""
    for headers in (TOKEN, basic("alice", "wonder:land é")):
        assert both.get("/metrics", headers=headers).status_code == 200
        assert "targets" in both.get("/health", headers=headers).json()
    for headers in ({}, basic("alice", "wrong"), basic("carol", "wonder:land é")):
        assert both.get("/metrics", headers=headers).status_code == 401
        assert list(both.get("/health", headers=headers).json()) == ["status"]

    assert both.get("/metrics").headers.get_list("www-authenticate") == ['Basic realm="datatier-exporter"', "Bearer"]


@pytest.mark.parametrize("credentials", ["", "====", "YWxpY2U=", "/w==", "Og==", "é", "YWxpY2U6d29uZGVy\x7f"])
def test_credentials_that_cannot_be_read(both: TestClient, credentials: str) -> None:
    answer = both.get("/metrics", headers={b"Authorization": b"Basic " + credentials.encode()})

    assert answer.status_code == 401


def test_users_change_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken file keeps those there were, and so does one that is half written or emptied."""
    monkeypatch.setattr("exporter.config.web_config_file.LOOK_EVERY", 0.0)
    file = write(tmp_path / "web.yml", f"basic_auth_users: {{alice: '{hashed('one').get_secret_value()}'}}\n")
    site = client(config_file=file)

    def statuses() -> tuple[int, int]:
        one, two = (site.get("/metrics", headers=basic("alice", word)).status_code for word in ("one", "two"))
        return one, two

    assert statuses() == (200, 401)

    write(file, f"basic_auth_users: {{alice: '{hashed('two').get_secret_value()}'}}\n# longer\n")
    assert statuses() == (401, 200)

    write(file, "basic_auth_users: {alice: nonsense}\n")
    assert statuses() == (401, 200)

    for half in ("", "{}\n"):
        write(file, half)
        assert statuses() == (401, 200)


def test_headers_of_the_web_file_are_on_every_answer(tmp_path: Path) -> None:
    """And come before our own."""
    headers = "{Content-Security-Policy: default-src 'self', X-Frame-Options: deny}"
    site = client(config_file=write(tmp_path / "web.yml", f"http_server_config: {{headers: {headers}}}\n"))

    for path in ("/", "/livez", "/nothing"):
        found = site.get(path).headers
        assert (found["content-security-policy"], found["x-frame-options"]) == ("default-src 'self'", "deny")
        assert found["x-content-type-options"] == "nosniff"


def test_the_rate_of_the_web_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst, then one each interval; probes are not counted, and not refused."""
    now = 1000.0
    monkeypatch.setattr("exporter.web.middleware.time.monotonic", lambda: now)
    site = client(config_file=write(tmp_path / "web.yml", "rate_limit: {interval: 2s, burst: 3}\n"))

    assert [site.get("/metrics").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert [site.get("/startupz").status_code for _ in range(5)] == [200] * 5

    now += 4.5
    assert [site.get("/metrics").status_code for _ in range(3)] == [200, 200, 429]

    now += 3600
    assert [site.get("/metrics").status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/nothing"])
def test_no_page_takes_a_body(path: str) -> None:
    """Nor waits for one: an empty one is none."""
    site = client()

    assert site.request("POST", path, content=b"a").status_code == 413
    assert site.request("GET", path, content=iter([b"a"])).status_code == 413
    assert site.request("POST", path, content=b"").status_code in (404, 405)
    assert site.request("POST", path, content=iter([])).status_code in (404, 405)
    assert site.request("GET", path, content=iter([])).status_code == site.get(path).status_code


def test_a_bug_tells_strangers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where, and not why."""
    monkeypatch.setattr("exporter.web.metrics_endpoints.findings", lambda *_: 1 / 0)
    answer = TestClient(client().app, raise_server_exceptions=False).get("/findings")

    assert (answer.status_code, answer.text) == (500, "internal server error\n")


def test_a_rate_is_one_clients_alone(tmp_path: Path) -> None:
    """Who asks too often keeps nobody else out; an IPv6 customer has 2^64 addresses, and one share."""
    web = write(tmp_path / "web.yml", "rate_limit: {interval: 1h, burst: 2}\n")
    app = client(config_file=web).app

    def statuses(*addresses: str) -> list[int]:
        return [TestClient(app, client=(address, 1)).get("/metrics").status_code for address in addresses]

    assert statuses("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1") == [200, 200, 429]
    assert statuses("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1") == [200, 200, 429, 200]
    assert statuses("192.0.2.2") == [200]


def test_a_flood_of_wrong_passwords_keeps_nobody_out(tmp_path: Path) -> None:
    """From an address of its own, 50 at once, against users who have not logged in since the start."""
    users = {f"user{n}": hashed(f"right{n}", 9).get_secret_value() for n in range(4)}
    web = write(tmp_path / "web.yml", f"basic_auth_users: {users}\n")
    over = Event()
    with Exporter(closed("qdrant"), web={"config_file": str(web)}) as exporter, ThreadPoolExecutor(50) as pool:

        def status(source: str, user: str, password: str) -> int:
            connection = HTTPConnection("127.0.0.1", exporter.port, timeout=20, source_address=(source, 0))
            with closing(connection):
                connection.request("GET", "/metrics", headers=basic(user, password))
                return connection.getresponse().status

        def flood(number: int) -> list[int]:
            found = []
            while not over.wait(0.1):
                found.append(status("127.0.0.2", "user0", f"wrong{number}"))
            return found

        floods = [pool.submit(flood, number) for number in range(50)]
        found = [status("127.0.0.1", user, user.replace("user", "right")) for user in users if not over.wait(0.1)]
        over.set()
        flooded = {status for each in floods for status in each.result()}

    assert found == [200] * 4
    assert flooded == {401, 503}
