"""The fault matrix of places of backups: a folder and a bucket through their faults, on one exporter.

Each cell: /health has the reason within two polls and names what to do, what is known of the backups stays on /metrics,
the other place does not notice, and all is well again afterwards.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testkit.minio import Minio
from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.fault_cells import Look, Page
from tests.support.fault_matrix import failed_polls
from tests.support.minio_admin import admin, allow, s3, statement
from tests.support.unprivileged import open_folder

FACTS = ("datatier_backups", "datatier_backup_last_success_timestamp_seconds", "datatier_backup_bytes")
SECRET = "the-first-secret"
NAME = "app-of-the-shop.dump"
PATIENCE = 120.0  # a refused login is not tried again for a minute
SETS = [
    {"name": "daily", "of": "orders", "files": "daily/*.dump", "every": "1d"},
    {"name": "weekly", "of": "orders", "files": "weekly/*.dump", "every": "7d"},
]


@dataclass
class Places:
    """Two places with the same files."""

    folder: Path
    server: Minio
    exporter: Exporter

    def look(self, place: str, before: Page) -> Look:
        return Look(place, self.exporter.health()["targets"][place], Page(self.exporter.text()), before)


class WithoutOverride(Exporter):
    """The exporter as a user who may not read what its owner may not: root may, unless it gives up the right."""

    def command(self, *arguments: str) -> list[str]:
        rights = "-dac_override,-dac_read_search"
        drop = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
        return [*drop, *super().command(*arguments)]


@pytest.fixture(scope="module")
def places(servers: Servers) -> Iterator[Places]:
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder()) / "backups"
        server = servers.private_minio(1)
        client = s3(server)
        client.make_bucket(bucket_name="backups")
        for part in ("daily", "weekly"):
            (folder / part).mkdir(parents=True)
            (folder / part / NAME).write_bytes(b"content" * 100)
            os.utime(folder / part / NAME, (time.time() - 3600, time.time() - 3600))  # else it may be being written
            client.fput_object(bucket_name="backups", object_name=f"{part}/{NAME}", file_path=str(folder / part / NAME))
        (folder / ".datatier").touch()
        may_read(server)
        keys = {"access_key": "monitor", "secret_key": SECRET}
        nas = {"name": "nas", "store": "backups", "url": f"file://{folder}", "marker": ".datatier", "sets": SETS}
        vault = {"name": "vault", "store": "backups", "url": f"{server.url}/backups", **keys, "sets": SETS}
        orders = {"name": "orders", "store": "postgres", "url": "postgres://127.0.0.1:1/orders", "required": False}
        exporter = stack.enter_context(WithoutOverride([nas, vault, orders], "1s"))
        exporter.wait(lambda: all(counted(exporter, name) == len(SETS) for name in ("nas", "vault")), "facts", PATIENCE)
        yield Places(folder, server, exporter)
        assert exporter.stop() == 0
        assert "Traceback" not in exporter.log.read_text()
        assert NAME not in exporter.log.read_text()


def counted(exporter: Exporter, place: str) -> float:
    return Page(exporter.text()).value("datatier_backups", target=place)


def may_read(server: Minio, *actions: str) -> None:
    allowed = statement(*(actions or ("s3:ListBucket", "s3:GetObject")))
    allow(server, {"access_key": "monitor", "secret_key": SECRET}, [allowed])


def hide(places: Places) -> None:
    places.folder.rename(places.folder.with_name("elsewhere"))


def unmount(places: Places) -> None:
    """Leave an empty mount point."""
    hide(places)
    places.folder.mkdir()


def mount(places: Places) -> None:
    shutil.rmtree(places.folder, ignore_errors=True)
    places.folder.with_name("elsewhere").rename(places.folder)


def down(reason: str) -> Callable[[Look], bool]:
    def seen(look: Look) -> bool:
        codes = {found["code"] for found in look.health["reasons"]}
        return look.value("datatier_up") == 0 and codes - {"flapping", "held"} == {reason}

    return seen


def lacks(action: str) -> Callable[[Look], bool]:
    return lambda look: look.value("datatier_up") == 1 and action in str(look.health["missing_privileges"])


@dataclass(frozen=True)
class Fault:
    place: str
    name: str
    begin: Callable[[Places], Any]
    end: Callable[[Places], Any]
    seen: Callable[[Look], bool]


FAULTS = (
    Fault("nas", "removed", hide, mount, down("connect")),
    Fault("nas", "unmounted", unmount, mount, down("connect")),
    Fault(
        "nas",
        "marker gone",
        lambda on: (on.folder / ".datatier").unlink(),
        lambda on: (on.folder / ".datatier").touch(),
        down("connect"),
    ),
    Fault(
        "nas", "permission taken", lambda on: on.folder.chmod(0o000), lambda on: on.folder.chmod(0o755), lacks("read")
    ),
    Fault("vault", "stopped", lambda on: on.server.stop(), lambda on: on.server.start(), down("connect")),
    Fault("vault", "killed (-9)", lambda on: on.server.kill(), lambda on: on.server.start(), down("connect")),
    Fault("vault", "frozen", lambda on: on.server.freeze(), lambda on: on.server.thaw(), down("timeout")),
    Fault(
        "vault",
        "keys refused",
        lambda on: admin(on.server).user_add(access_key="monitor", secret_key="another-secret"),
        lambda on: may_read(on.server),
        down("auth"),
    ),
    Fault(
        "vault",
        "permission taken",
        lambda on: may_read(on.server, "s3:GetObject"),
        lambda on: may_read(on.server),
        lacks("s3:ListBucket"),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.place}-{fault.name}")
def test_a_fault_of_one_place(places: Places, fault: Fault) -> None:
    """The reason is shown, the facts stay, the other place goes on."""
    other = {"nas": "vault", "vault": "nas"}[fault.place]
    before = Page(places.exporter.text())
    facts = {name: before.value(name, target=fault.place) for name in FACTS}
    failed = failed_polls(before, other)

    def fine(place: str) -> bool:
        look = places.look(place, before)
        return look.value("datatier_up") == 1 and not look.health["missing_privileges"]

    try:
        fault.begin(places)
        places.exporter.wait(lambda: fault.seen(places.look(fault.place, before)), fault.name, PATIENCE)
        page = Page(places.exporter.text())
        shown = {name: page.value(name, target=fault.place) for name in FACTS}
    finally:
        fault.end(places)
    places.exporter.wait(lambda: fine(fault.place), f"the end of {fault.name}", PATIENCE)

    after = Page(places.exporter.text())
    assert shown == facts
    assert all(facts.values())
    assert failed_polls(after, other) == failed
    assert fine(other)
    assert {name: after.value(name, target=fault.place) for name in FACTS} == facts
