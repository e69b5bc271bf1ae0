"""What /livez, /startupz and /readyz respond about the process itself."""

from exporter.config.config import Readyz
from tests.support.app_client import BOTH, AppClient

SILENT = "note: the exporter has stopped polling: what is down from here may be well"
FAILED = "livez check failed"


def test_exclude_omits_targets_of_probes(app_client: AppClient) -> None:
    """In /startupz and /readyz the start of a target, in /livez its stuck poller."""
    app_client.poll("orders")
    assert [app_client.status(f"/{page}?exclude=invoices") for page in ("startupz", "readyz")] == [200, 200]
    assert app_client.status("/readyz?exclude=startup") == 200

    app_client.poll("orders", 60.0)
    assert (app_client.status("/livez"), app_client.status("/livez?exclude=invoices")) == (503, 200)


def test_livez_does_not_depend_on_stores(app_client: AppClient) -> None:
    app_client.down(*BOTH)

    assert (app_client.status("/livez"), app_client.status("/readyz"), app_client.status("/health")) == (200, 200, 503)


def test_livez_fails_with_a_stuck_poller(app_client: AppClient) -> None:
    """The supervisor has to restart a process that serves old data."""
    app_client.poll("orders")
    app_client.now = 60.0
    answer = app_client.client.get("/livez")

    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 15
    assert answer.text.splitlines() == [*[f"[-]{name} failed: no poll for too long" for name in BOTH], SILENT, FAILED]


def test_startupz_passes_when_all_targets_were_polled(app_client: AppClient) -> None:
    """Whether the polls succeeded or failed."""
    app_client.poll("orders")
    answer = app_client.client.get("/startupz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.text == "[+]orders ok\n[-]invoices failed: starting\nstartupz check failed\n"

    app_client.fail("invoices")
    assert [app_client.client.get(page).text for page in ("/startupz", "/readyz")] == ["ok\n", "ok\n"]


def test_startupz_passes_after_the_deadline(app_client: AppClient) -> None:
    app_client.now = 29.9
    assert app_client.status("/startupz") == 503

    app_client.now = 30.0
    assert app_client.status("/startupz") == 200


def test_readyz_fails_while_draining(app_client: AppClient) -> None:
    """All other endpoints respond as before."""
    for name in BOTH:
        app_client.poll(name)
    app_client.service.draining = True

    assert app_client.status("/readyz") == 503
    assert app_client.lines("/readyz") == ["[+]startup ok", "[-]shutdown failed: draining", "readyz check failed"]
    assert [app_client.status(path) for path in ("/livez", "/metrics", "/health")] == [200, 200, 200]


def test_readyz_requires_configured_groups(app_client: AppClient) -> None:
    """A group fails when a required target of it is down that is not in maintenance."""
    app_client.configure(readyz=Readyz(require=("paper",)))
    app_client.down(*BOTH)
    answer = app_client.client.get("/readyz")
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 15
    assert answer.text.splitlines()[2:] == ["[-]group/paper failed: invoices", "readyz check failed"]
    assert app_client.status("/readyz?exclude=invoices") == app_client.status("/readyz?exclude=group/paper") == 200

    app_client.watch("invoices", maintenance=True)
    app_client.down("invoices")
    assert app_client.status("/readyz") == 200


def test_readyz_passes_despite_a_local_fault(app_client: AppClient) -> None:
    """The verbose body has a note about it."""
    app_client.configure(readyz=Readyz(require=("write", "paper")))
    app_client.down(*BOTH, fault="network")

    assert app_client.client.get("/readyz").text == "ok\n"
    assert app_client.lines("/readyz?verbose")[-2:] == [
        "note: the exporter's machine has no way into any network: what is down from here may be well",
        "readyz check passed",
    ]
