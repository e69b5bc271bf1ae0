"""A real Prometheus scrapes pages that are secured, as its own configuration says it."""

from pathlib import Path

from testkit.prometheus import Prometheus, scraped
from testkit.session import Servers
from tests.support.factories import hashed
from tests.support.served_app import AUTHORITY, ServedApp, certificate, wait_until


def test_prometheus_scrapes_with_tls_and_a_password_or_the_token(servers: Servers, tmp_path: Path) -> None:
    """On one connection each; without either it is refused, and its health says why."""
    certificate(tmp_path)
    authority = tmp_path / "ca.crt"
    AUTHORITY.cert_pem.write_to_path(str(authority))
    users = f"basic_auth_users: {{prometheus: '{hashed('a-password', 10).get_secret_value()}'}}\n"
    tls = "tls_server_config: {cert_file: server.crt, key_file: server.key, min_version: TLS13}\n"
    credentials = {
        "password": {"basic_auth": {"username": "prometheus", "password": "a-password"}},
        "token": {"authorization": {"credentials": "a-token-of-the-test"}},
        "nobody": {},
    }
    secured = {"scheme": "https", "tls_config": {"ca_file": str(authority)}}
    with ServedApp(tmp_path, tls + users, token="a-token-of-the-test") as served:
        jobs = [scraped(served.port, name=name, **secured, **keys) for name, keys in credentials.items()]
        with servers.private_prometheus(*jobs) as prometheus:
            wait_until(lambda: len(last_errors(prometheus)) == len(jobs), 60)
            found = last_errors(prometheus)
            kept = served.connections

    assert found == {"password": "", "token": "", "nobody": "server returned HTTP status 401 Unauthorized"}
    assert kept <= len(jobs)


def last_errors(prometheus: Prometheus) -> dict[str, str]:
    """Return the last error of each job that was scraped."""
    targets = prometheus.get("targets")["activeTargets"]
    return {target["labels"]["job"]: target["lastError"] for target in targets if target["health"] != "unknown"}
