"""What is the exporter's own fault, by the errors that the stores' clients really raise."""

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import pytest

from exporter.state import local_fault as module
from exporter.state.local_fault import LocalFault, local_fault
from testkit.process import free_port


def chained(*errors: BaseException) -> BaseException:
    """Return the first of these errors, each raised from the next."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def no_way() -> bool:
    return False


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "resources"),
        (chained(RuntimeError("no connection"), OSError(errno.ENFILE, "x")), "resources"),
        (RuntimeError("can't start new thread"), "resources"),
        (MemoryError(), "resources"),
        (ImportError("libx.so: cannot open shared object file: Too many open files"), "resources"),
        (ImportError("No module named 'neo4j'"), None),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), None),
        (OSError(errno.EHOSTUNREACH, "a host that is off is not ours"), None),
        (OSError(errno.ENETUNREACH, "x"), "network"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "dns"),
        (socket.gaierror(socket.EAI_NONAME, "there is no such name"), None),
        (TimeoutError(), None),
        (RuntimeError("Too many open files, says the server of itself"), None),
        (ExceptionGroup("both", [OSError(errno.ENETUNREACH, "v6"), OSError(errno.ENETUNREACH, "v4")]), "network"),
        (ExceptionGroup("both", [OSError(errno.ENETUNREACH, "v6"), OSError(errno.ECONNREFUSED, "v4")]), None),
    ],
)
def test_what_lies_behind_an_error(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, fault: LocalFault | None
) -> None:
    """It is ours only when everything that was tried failed for the same reason of ours."""
    monkeypatch.setattr(module, "_has_route", no_way)

    assert local_fault(error) == fault


def test_one_address_without_a_way_is_not_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name has addresses that a machine without IPv6 cannot reach."""
    monkeypatch.setattr(module, "_has_route", lambda: True)

    assert local_fault(OSError(errno.ENETUNREACH, "v6")) is None


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


def test_this_machine_has_a_way_or_none(offline: tuple[str, ...]) -> None:
    """Looked up without sending anything."""
    code = "from exporter.state.local_fault import _has_route; print(_has_route())"
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
    done = run([*offline, sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)

    assert done.stdout == "False\n"
