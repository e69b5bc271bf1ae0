"""The errors that the stores' clients really raise, and which of them are the exporter's own fault."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from exporter.state.local_fault import LocalFault
from testkit.process import free_port

# Ping a target of each store; print what local_fault says of each error.
PINGS = """
import asyncio, json, os, resource, sys
import uvloop
from pydantic import TypeAdapter
from exporter.datastores import load_client, open_datastore
from exporter.state.local_fault import local_fault
from exporter.config.stores import Target

host, port, limited = sys.argv[1], sys.argv[2], sys.argv[3] == "limited"
urls = {"postgres": "postgresql://u@{}/db", "qdrant": "http://{}", "neo4j": "bolt://{}", "minio": "http://{}",
        "pgbouncer": "postgresql://u@{}/pgbouncer"}

async def fault(target):
    async with asyncio.timeout(20), open_datastore(target) as datastore:
        try:
            await datastore.ping()
        except Exception as error:
            return local_fault(error)

async def main():
    keys = {"minio": {"access_key": "a", "secret_key": "secretsecret"}}
    targets = [TypeAdapter(Target).validate_python({"name": store, "store": store,
               "url": url.format(f"{host}:{port}"), **keys.get(store, {})}) for store, url in urls.items()]
    for target in targets:
        load_client(target.store)
    if limited:
        lowest = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, lowest))
    print(json.dumps({target.store: await fault(target) for target in targets}))

uvloop.run(main())
"""


def faults(host: str, *before: str, limited: bool = False) -> dict[str, LocalFault | None]:
    command = [*before, sys.executable, "-c", PINGS, host, str(free_port()), "limited" if limited else ""]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    found: dict[str, LocalFault | None] = json.loads(done.stdout)
    return found


@pytest.fixture
def offline() -> tuple[str, ...]:
    """Return what runs a command in a namespace without any network."""
    command = ("unshare", "--map-root-user", "--net")
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    return command


def test_a_server_that_refuses_is_down() -> None:
    """For every store."""
    assert set(faults("127.0.0.1").values()) == {None}


def test_a_name_that_does_not_exist_is_the_targets_trouble() -> None:
    """A container that was stopped has no name any more."""
    assert set(faults("nobody.invalid").values()) <= {None, "dns"}  # dns: where tests run without a name server


@pytest.mark.parametrize(("host", "fault"), [("db1.example", "dns"), ("192.0.2.7", "network")])
def test_without_a_network_nothing_can_be_asked(offline: tuple[str, ...], host: str, fault: LocalFault) -> None:
    """For every store: the errors of five clients, for a name and for an address."""
    assert set(faults(host, *offline).values()) == {fault}


def test_without_descriptors_nothing_can_be_asked() -> None:
    found = faults("127.0.0.1", limited=True)

    assert set(found.values()) == {"resources"}


def test_has_route_without_a_network_is_false(offline: tuple[str, ...]) -> None:
    """Looked up without sending anything."""
    code = "from exporter.state.local_fault import has_route; print(has_route())"
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
    done = run([*offline, sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)

    assert done.stdout == "False\n"
