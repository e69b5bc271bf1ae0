"""Who sees what, once authentication is configured."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from exporter.app import create_app
from exporter.config import Config
from tests.making import Events, info, watched, write

TOKEN = {"Authorization": "Bearer a-token-of-the-test"}
CLOSED = ["/", "/metrics", "/probe?target=orders", "/findings", "/findings/orders", "/nothing", "/health2"]
PROBES = ["/livez", "/startupz", "/readyz", "/health", "/health/targets/orders"]


def client(**web: Any) -> TestClient:
    """Return a client of an application whose one target is up."""
    target = {"name": "orders", "store": "postgres", "url": "postgresql://u@h/db"}
    app = create_app(Config.model_validate({"targets": [target], "web": web}), ())
    events = Events(watched())
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
