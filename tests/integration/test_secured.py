"""A real Prometheus scrapes pages that are secured, as its own configuration says it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from tests.servers.process import free_port
from tests.test_passwords import hashed
from tests.web_site import AUTHORITY, WebSite, certificate, wait_until


def test_prometheus_scrapes_with_tls_and_a_password_or_the_token(prometheus: Path, tmp_path: Path) -> None:
    """On one connection each; without either it is refused, and its health says why."""
    certificate(tmp_path)
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    users = f"basic_auth_users: {{prometheus: '{hashed('a-password', 10).get_secret_value()}'}}\n"
    tls = "tls_server_config: {cert_file: server.crt, key_file: server.key, min_version: TLS13}\n"
    credentials = {
        "password": {"basic_auth": {"username": "prometheus", "password": "a-password"}},
        "token": {"authorization": {"credentials": "a-token-of-the-test"}},
        "nobody": {},
    }
    with WebSite(tmp_path, tls + users, token="a-token-of-the-test") as site:
        jobs = [_job(name, site.port, **keys) for name, keys in credentials.items()]
        with _running(prometheus, tmp_path, jobs) as port:
            wait_until(lambda: len(_scraped(port)) == len(jobs), 60)
            found = _scraped(port)
            kept = site.connections

    assert found == {"password": "", "token": "", "nobody": "server returned HTTP status 401 Unauthorized"}
    assert kept <= len(jobs)


def _job(name: str, port: int, **credentials: Any) -> dict[str, Any]:
    where = {
        "scheme": "https",
        "tls_config": {"ca_file": "ca.crt"},
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
    }
    return {"job_name": name, "scrape_interval": "1s", "scrape_timeout": "1s", **where, **credentials}


@contextmanager
def _running(prometheus: Path, folder: Path, jobs: list[dict[str, Any]]) -> Iterator[int]:
    port = free_port()
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": jobs}))
    command = [str(prometheus), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _scraped(port: int) -> dict[str, str]:
    """Return the last error of each job that was scraped, as Prometheus shows it."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/targets", timeout=10) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
    except OSError:  # it is not up yet
        return {}
    return {target["labels"]["job"]: target["lastError"] for target in targets if target["health"] != "unknown"}
