"""One exporter that watches four stores through their faults: what it showed, how soon, and what it cost."""

import json
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.exporter_process import Exporter
from tests.support.fault_cells import Fault, Look, Page
from tests.support.fault_targets import Victim
from tests.support.scraper import Scrape, Scraper

PATIENCE = 90.0  # seconds for what takes two polls, on a machine that does much else
_ESTABLISHED = "01"
_OTHER_SOCKETS = 12  # the loop's, the listener, who asks, the bystander's


@dataclass(frozen=True)
class Cell:
    """What was seen of one store's fault; milliseconds are the slowest answers'."""

    store: str
    fault: str
    shown: str
    seen_seconds: float
    seen_polls: float
    back_seconds: float
    back_polls: float
    requests: int
    metrics_ms: float
    livez_ms: float


Took = tuple[float, float]  # seconds and polls


class Matrix:
    """An exporter with two targets a victim and one bystander, and what is asked of it all the time."""

    def __init__(self, exporter: Exporter, scraper: Scraper, victims: Mapping[str, Victim], bystander: str) -> None:
        self.exporter = exporter
        self.victims = victims
        self.cells: list[Cell] = []
        self._scraper = scraper
        self._bystander = bystander
        page = self.page()
        self._told = {target: set(page.names(target)) for target in self.others()}
        self._usual = self._used()
        for _ in range(30):
            time.sleep(0.1)
            self._usual = {kind: max(count, self._usual[kind]) for kind, count in self._used().items()}

    def meet(self, victim: Victim, fault: Fault) -> Cell:
        """Let a fault begin, be seen and end, and all be as before; fail where it is not."""
        target = f"{victim.store}-far" if fault.far else victim.store
        others = self.others(victim.store)
        self.wait(self.others(), _tells, self.page(), "the end of what was before")
        before = self.page()
        lasting = before.names(target) & self._told[target]  # not what the fault before this one has just added
        self._told[target] |= before.names(target)
        failures = {other: failed_polls(before, other) for other in others}
        self.new_requests()
        try:
            fault.begin(victim)
            seen = self.wait([target], fault.seen, before, fault.shown)
            if fault.down:
                self.assert_gone(target)
        finally:
            fault.end(victim)
        back = self.wait([target], lambda look: _well(look, fault), before, "the end of it")
        if fault.lasts:
            self.wait_for_series(target, lasting, before)
        self.assert_untouched(others, failures)
        self.assert_nothing_leaked()
        [cell] = self.note(fault, seen, back)
        return cell

    def others(self, *stores: str) -> list[str]:
        """Name the targets that have nothing to do with these stores' servers."""
        watched = [name for store in self.victims for name in (store, f"{store}-far") if store not in stores]
        return [*watched, self._bystander]

    def wait(
        self, targets: Collection[str], condition: Callable[[Look], bool], before: Page, what: str
    ) -> dict[str, Took]:
        """Wait until what the exporter says of each target meets a condition; return what it took each of them."""
        polls, page, began, took = "datatier_polls_total", self.page(), time.monotonic(), dict[str, Took]()
        first = {target: page.value(polls, target=target) for target in targets}

        def met() -> bool:
            health, page = self.exporter.health()["targets"], self.page()
            for target in set(targets) - took.keys():
                look = Look(target, health[target], page, before)
                if condition(look):
                    took[target] = (time.monotonic() - began, look.value(polls) - first[target])
            return len(took) == len(targets)

        self.exporter.wait(met, f"{', '.join(targets)}: {what}", PATIENCE)
        return took

    def wait_for_series(self, target: str, lasting: Collection[str], before: Page) -> None:
        """Wait until a target has all its series again."""
        wanted = {name for name in lasting if "_last_" not in name}  # a crash resets statistics
        assert wanted, f"{target} had no series before"
        try:
            self.wait([target], lambda look: wanted <= look.page.names(target), before, "all series")
        except AssertionError as error:
            raise AssertionError(f"missing: {sorted(wanted - self.page().names(target))}") from error

    def page(self) -> Page:
        return Page(self.exporter.text())

    def assert_gone(self, target: str) -> None:
        page = self.page()

        assert page.value("datatier_up", target=target) == 0, f"{target} is up again"
        assert not page.names(target), f"{target} is down and tells {page.names(target)}"

    def assert_untouched(self, others: Collection[str], failures: Mapping[str, float]) -> None:
        """Check that not one poll of the others failed."""
        page = self.page()

        now = {other: failed_polls(page, other) for other in others}
        silent = [other for other in others if not page.names(other)]
        assert now == failures, f"others failed: {now}, before: {failures}"
        assert not silent, f"others tell nothing: {silent}"

    def assert_nothing_leaked(self) -> None:
        """Check that tasks and files are no more than before, and connections no more than a target may hold."""
        try:
            self.exporter.wait(lambda: not self._excess(), "no more to be used than before", PATIENCE)
        except AssertionError as error:
            opened = sorted(open_files(self.exporter.pid) - tcp().keys())
            raise AssertionError(f"left over: {self._excess()}; open: {opened}") from error
        for victim in self.victims.values():
            held = lambda victim=victim: connections(victim.port) <= 2 * victim.cap  # noqa: E731
            self.exporter.wait(held, f"the connections at {victim.store} to end", PATIENCE)

    def _excess(self) -> dict[str, str]:
        return {
            kind: f"{count} instead of {self._usual[kind]}"
            for kind, count in self._used().items()
            if count > self._usual[kind]
        }

    def _used(self) -> dict[str, int]:
        """Count what may leak: tasks, files, sockets; connections only beyond those that a target may hold.

        Idle connections that the server has ended may lie in a pool until they are wanted; no list tells their ports.
        """
        opened, known = open_files(self.exporter.pid), tcp()
        sockets = [name for name in opened if name.startswith("socket:")]
        allowed = 2 * sum(victim.cap for victim in self.victims.values()) + _OTHER_SOCKETS
        beyond = {"sockets": max(0, len(sockets) - allowed)}
        for store, victim in self.victims.items():
            for name, port in ((store, victim.port), (f"{store}-far", victim.proxy.port)):
                held = sum(known[one][1] == port for one in sockets if one in known)
                beyond[name] = max(0, held - victim.cap)
        tasks = self.page().value("datatier_tasks")
        return {"tasks": int(tasks), "files": len(opened) - len(sockets), **beyond}

    def new_requests(self) -> list[Scrape]:
        """Return what was asked since the last call."""
        return self._scraper.new_requests()

    def note(self, fault: Fault, seen: Mapping[str, Took], back: Mapping[str, Took]) -> list[Cell]:
        """Return the cells of the stores once all requests were answered and no target had series while down."""
        asked = self.new_requests()

        bad = [one for one in asked if one.status != 200 or one.left]
        assert asked, "nothing was asked"
        assert not bad, f"{len(bad)} of {len(asked)} answers: {bad[:5]}"
        slowest = [1000 * max(one.seconds for one in asked if one.path == path) for path in ("/metrics", "/livez")]
        share = len(asked) // len(seen)
        cells = [
            Cell(target.removesuffix("-far"), fault.name, fault.shown, *seen[target], *back[target], share, *slowest)
            for target in seen
        ]
        self.cells += cells
        return cells

    def save(self, file: Path) -> None:
        """Add the cells to those that a file has already."""
        before = json.loads(file.read_text()) if file.exists() else []
        file.write_text(json.dumps([*before, *(asdict(cell) for cell in self.cells)], indent=1) + "\n")


def _tells(look: Look) -> bool:
    return look.value("datatier_up") == 1 and bool(look.page.names(look.target))


def _well(look: Look, fault: Fault) -> bool:
    return look.value("datatier_up") == 1 and not (fault.lasts and fault.seen(look))


def failed_polls(page: Page, target: str, **reason: str) -> float:
    return page.value("datatier_poll_failures_total", target=target, **reason)


def open_files(pid: int) -> set[str]:
    """Name what a process has open, sockets by their number."""
    names = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            names.add(f"{entry.readlink()}")
    return names


def tcp() -> dict[str, tuple[int, int, str]]:
    """Return this machine's TCP sockets: local port, remote port, state; Java's are of both families at once."""
    tables = [Path(f"/proc/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table]
    return {f"socket:[{line[9]}]": (_port(line[1]), _port(line[2]), line[3]) for line in lines}


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def connections(port: int) -> int:
    """Count a server's ends of open connections."""
    return sum(local == port and state == _ESTABLISHED for local, _, state in tcp().values())
