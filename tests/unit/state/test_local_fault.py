"""What is the exporter's own fault, by the errors that the stores' clients really raise."""

import errno
import socket
from itertools import pairwise

import pytest

from exporter.state import local_fault as module
from exporter.state.local_fault import LocalFault, local_fault


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
def test_local_fault_needs_the_same_cause_for_all_that_was_tried(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, fault: LocalFault | None
) -> None:
    """It is ours only when everything that was tried failed for the same reason of ours."""
    monkeypatch.setattr(module, "has_route", no_way)

    assert local_fault(error) == fault


def test_one_address_without_a_route_is_no_local_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name has addresses that a machine without IPv6 cannot reach."""
    monkeypatch.setattr(module, "has_route", lambda: True)

    assert local_fault(OSError(errno.ENETUNREACH, "v6")) is None
