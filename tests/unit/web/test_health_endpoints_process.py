"""What /livez, /startupz and /readyz say of the process itself."""

from exporter.config.config import Readyz
from tests.support.app_client import BOTH, Site

SILENT = "note: the exporter has stopped polling: what is down from here may be well"
FAILED = "livez check failed"


def test_exclude_leaves_out_of_the_processes_own_pages(site: Site) -> None:
    """A target that nobody waits for, a poller that may be stuck."""
    site.poll("orders")
    assert [site.status(f"/{page}?exclude=invoices") for page in ("startupz", "readyz")] == [200, 200]
    assert site.status("/readyz?exclude=startup") == 200

    site.poll("orders", 60.0)
    assert (site.status("/livez"), site.status("/livez?exclude=invoices")) == (503, 200)


def test_life_does_not_depend_on_a_store(site: Site) -> None:
    """Every target may be down."""
    site.down(*BOTH)

    assert (site.status("/livez"), site.status("/readyz"), site.status("/health")) == (200, 200, 503)


def test_a_stuck_poller_ends_life(site: Site) -> None:
    """Somebody has to restart a process that serves nothing new."""
    site.poll("orders")
    site.now = 60.0
    answer = site.client.get("/livez")

    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 15
    assert answer.text.splitlines() == [*[f"[-]{name} failed: no poll for too long" for name in BOTH], SILENT, FAILED]


def test_started_means_that_every_target_was_tried(site: Site) -> None:
    """Well or not; and after thirty seconds it is started anyway."""
    site.poll("orders")
    answer = site.client.get("/startupz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.text == "[+]orders ok\n[-]invoices failed: starting\nstartupz check failed\n"

    site.fail("invoices")
    assert [site.client.get(page).text for page in ("/startupz", "/readyz")] == ["ok\n", "ok\n"]


def test_a_dead_store_does_not_block_the_start(site: Site) -> None:
    site.now = 29.9
    assert site.status("/startupz") == 503

    site.now = 30.0
    assert site.status("/startupz") == 200


def test_draining_is_not_ready(site: Site) -> None:
    """Everything else is answered as before."""
    for name in BOTH:
        site.poll(name)
    site.service.draining = True

    assert site.status("/readyz") == 503
    assert site.lines("/readyz") == ["[+]startup ok", "[-]shutdown failed: draining", "readyz check failed"]
    assert [site.status(path) for path in ("/livez", "/metrics", "/health")] == [200, 200, 200]


def test_readiness_may_require_a_group(site: Site) -> None:
    """Of those alone that are named; a group without a target that is required, or in maintenance, fails nothing."""
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


def test_readiness_stays_open_when_the_checker_is_ill(site: Site) -> None:
    """And says so to whoever asks."""
    site.configure(readyz=Readyz(require=("write", "paper")))
    site.down(*BOTH, fault="network")

    assert site.client.get("/readyz").text == "ok\n"
    assert site.lines("/readyz?verbose")[-2:] == [
        "note: the exporter's machine has no way into any network: what is down from here may be well",
        "readyz check passed",
    ]
