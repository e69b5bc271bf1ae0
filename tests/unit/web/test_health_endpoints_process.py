"""What /livez, /startupz and /readyz respond about the process itself."""

from exporter.config.config import Readyz
from tests.support.app_client import BOTH, Site

SILENT = "note: the exporter has stopped polling: what is down from here may be well"
FAILED = "livez check failed"


def test_exclude_omits_targets_of_probes(site: Site) -> None:
    """In /startupz and /readyz the start of a target, in /livez its stuck poller."""
    site.poll("orders")
    assert [site.status(f"/{page}?exclude=invoices") for page in ("startupz", "readyz")] == [200, 200]
    assert site.status("/readyz?exclude=startup") == 200

    site.poll("orders", 60.0)
    assert (site.status("/livez"), site.status("/livez?exclude=invoices")) == (503, 200)


def test_livez_does_not_depend_on_stores(site: Site) -> None:
    site.down(*BOTH)

    assert (site.status("/livez"), site.status("/readyz"), site.status("/health")) == (200, 200, 503)


def test_livez_fails_with_a_stuck_poller(site: Site) -> None:
    """The supervisor has to restart a process that serves old data."""
    site.poll("orders")
    site.now = 60.0
    answer = site.client.get("/livez")

    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 15
    assert answer.text.splitlines() == [*[f"[-]{name} failed: no poll for too long" for name in BOTH], SILENT, FAILED]


def test_startupz_passes_when_all_targets_were_polled(site: Site) -> None:
    """Whether the polls succeeded or failed."""
    site.poll("orders")
    answer = site.client.get("/startupz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.text == "[+]orders ok\n[-]invoices failed: starting\nstartupz check failed\n"

    site.fail("invoices")
    assert [site.client.get(page).text for page in ("/startupz", "/readyz")] == ["ok\n", "ok\n"]


def test_startupz_passes_after_the_deadline(site: Site) -> None:
    site.now = 29.9
    assert site.status("/startupz") == 503

    site.now = 30.0
    assert site.status("/startupz") == 200


def test_readyz_fails_while_draining(site: Site) -> None:
    """All other endpoints respond as before."""
    for name in BOTH:
        site.poll(name)
    site.service.draining = True

    assert site.status("/readyz") == 503
    assert site.lines("/readyz") == ["[+]startup ok", "[-]shutdown failed: draining", "readyz check failed"]
    assert [site.status(path) for path in ("/livez", "/metrics", "/health")] == [200, 200, 200]


def test_readyz_requires_configured_groups(site: Site) -> None:
    """A group fails when a required target of it is down that is not in maintenance."""
    site.configure(readyz=Readyz(require=("paper",)))
    site.down(*BOTH)
    answer = site.client.get("/readyz")
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 15
    assert answer.text.splitlines()[2:] == ["[-]group/paper failed: invoices", "readyz check failed"]
    assert site.status("/readyz?exclude=invoices") == site.status("/readyz?exclude=group/paper") == 200

    site.watch("invoices", maintenance=True)
    site.down("invoices")
    assert site.status("/readyz") == 200


def test_readyz_passes_despite_a_local_fault(site: Site) -> None:
    """The verbose body has a note about it."""
    site.configure(readyz=Readyz(require=("write", "paper")))
    site.down(*BOTH, fault="network")

    assert site.client.get("/readyz").text == "ok\n"
    assert site.lines("/readyz?verbose")[-2:] == [
        "note: the exporter's machine has no way into any network: what is down from here may be well",
        "readyz check passed",
    ]
