"""Servers that fail and return at random, and what an exporter holds whenever all is calm again."""

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from testkit.proxy import Proxy
from tests.support.exporter_process import Exporter

_POLLS = re.compile(r"^datatier_polls_total\{.*\} (\S+)$", re.MULTILINE)
_FAILED = re.compile(r"^datatier_poll_failures_total\{.*\} (\S+)$", re.MULTILINE)
_WELL_AT = re.compile(r"^datatier_poll_last_success_timestamp_seconds\{.*\} (\S+)$", re.MULTILINE)
_OWN = re.compile(r"^(datatier_tasks|process_resident_memory_bytes) (\S+)$", re.MULTILINE)
_LAG = re.compile(r"^datatier_event_loop_lag_seconds (\S+)$", re.MULTILINE)
_LOOKS = 9
_SETTLED = 2  # polls of each target
FAULTS: tuple[Callable[[Proxy], None], ...] = (
    Proxy.reset,
    Proxy.blackhole,
    lambda proxy: proxy.delay(0.3),
    Proxy.restore,
    Proxy.restore,
)


@dataclass(frozen=True)
class Held:
    """What an exporter holds: medians of some looks at it, for pools and idle connections come and go."""

    polls: int
    rss_mib: float
    files: float
    sockets: float
    threads: float
    tasks: float


class Soak:
    """An exporter on servers behind proxies; the same seed makes the same bad days."""

    def __init__(self, exporter: Exporter, proxies: Mapping[str, Proxy], seed: int) -> None:
        self.exporter = exporter
        self._proxies = proxies
        self._chance = random.Random(seed)
        self.lags: list[float] = []  # of the event loop in seconds, as the exporter tells it

    def wait_polled(self, since: float) -> None:
        """Wait until every server was polled well since then."""

        def polled() -> bool:
            return sum(float(when) > since for when in _WELL_AT.findall(self.exporter.text())) == len(self._proxies)

        self.exporter.wait(polled, "good polls of all", 120)

    def polls(self) -> int:
        text = self.exporter.text()
        self.lags += map(float, _LAG.findall(text))
        return _sum(_POLLS, text)

    def failed(self) -> int:
        return _sum(_FAILED, self.exporter.text())

    def bad_days(self, polls: int) -> None:
        """Let servers fail and return at random for so many polls."""
        until = self.polls() + polls
        while self.polls() < until:
            proxy = self._chance.choice(list(self._proxies.values()))
            self._chance.choice(FAULTS)(proxy)
            time.sleep(self._chance.uniform(0.05, 0.5))

    def calm(self) -> Held:
        """End every fault, wait until all servers were polled well and again, and return what is held then."""
        for proxy in self._proxies.values():
            proxy.restore()
        self.wait_polled(time.time())
        until = self.polls() + _SETTLED * len(self._proxies)
        looks = [self._look()]
        while len(looks) < _LOOKS or looks[-1]["polls"] < until:
            time.sleep(0.2)
            looks.append(self._look())
        return Held(**{name: median(look[name] for look in looks[-_LOOKS:]) for name in looks[0]})

    def _look(self) -> dict[str, Any]:
        pid, text = self.exporter.pid, self.exporter.text()
        own = {name: float(value) for name, value in _OWN.findall(text)}
        files = [path.readlink().name for path in _there(Path(f"/proc/{pid}/fd").iterdir())]
        return {
            "polls": _sum(_POLLS, text),
            "rss_mib": own["process_resident_memory_bytes"] / 2**20,
            "files": len(files),
            "sockets": sum(name.startswith("socket:") for name in files),
            "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
            "tasks": own["datatier_tasks"],
        }


def _sum(series: re.Pattern[str], text: str) -> int:
    return int(sum(map(float, series.findall(text))))


def _there(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the links that are still there: a descriptor may be closed while we look."""
    return (path for path in paths if path.is_symlink())


@contextmanager
def soaking(servers: Mapping[str, Any], interval: str, seed: int, targets: int = 2) -> Iterator[Soak]:
    """Run an exporter with so many targets a server, each behind a proxy of its own."""
    with ExitStack() as stack:
        proxies, watched = {}, []
        for name, server in servers.items():
            for number in range(targets):
                proxy = proxies[f"{name}-{number}"] = stack.enter_context(Proxy(server.port))
                url = server.url.replace(f":{server.port}", f":{proxy.port}")
                watched.append(server.target(f"{name}-{number}", url=url))
        soak = Soak(stack.enter_context(Exporter(watched, interval)), proxies, seed)
        soak.wait_polled(0.0)
        yield soak
