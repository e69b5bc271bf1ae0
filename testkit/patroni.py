"""Patroni, which makes PostgreSQL servers a cluster, and the etcd in which its members agree."""

import json
import os
import platform
import shutil
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from testkit import Unavailable
from testkit.cache import cached, open_to_all
from testkit.debian import program
from testkit.guard import alive, signal_tree
from testkit.machine import guard, hand_over
from testkit.packages import install
from testkit.postgres import PASSWORDS, SETTINGS, prepared_data
from testkit.postgres_programs import fetch
from testkit.process import Process, free_port

VERSION = "4.1.5"


class Etcd(Process):
    """One etcd without company."""

    def __init__(self) -> None:
        super().__init__("etcd")
        self.port = free_port()
        self._peer_port = free_port()

    def _command(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.port, self._peer_port))
        listen = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
        cluster = ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        return [str(program("etcd")), "--data-dir", str(self.folder / "data"), "--unsafe-no-fsync", *listen, *cluster]

    def _ready(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
            return bool(json.load(answer)["health"] == "true")


class Patroni(Process):
    """One member; the first of a cluster has the prepared databases, those after it copy them."""

    start_seconds = 90.0

    def __init__(self, etcd: Etcd, name: str, version: str = "18") -> None:
        super().__init__(f"patroni-{name}")
        self.name = name
        self.version = version
        self.port = free_port()
        self.api_port = free_port()
        self._etcd = etcd
        self._postmaster: int | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def target(self, name: str, **extra: object) -> dict[str, object]:
        url = f"postgresql://monitor@127.0.0.1:{self.port}/postgres"
        login = {"url": url, "password": PASSWORDS["monitor"]}
        return {"name": name, "store": "postgres", **login, "patroni": self.api, **extra}

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.api + path, timeout=15) as answer:
            body: dict[str, Any] = json.load(answer)
        return body

    def configure(self, **changes: object) -> None:
        """Change the configuration of the whole cluster."""
        body = json.dumps(changes).encode()
        urllib.request.urlopen(urllib.request.Request(self.api + "/config", body, method="PATCH"), timeout=15).close()

    def kill(self) -> None:
        """End the PostgreSQL, too: Patroni starts it in a way that it outlives its Patroni."""
        super().kill()
        if self._postmaster is not None:
            if alive(self._postmaster):
                signal_tree(self._postmaster, signal.SIGKILL)
            guard.tell(f"ended {self._postmaster}")
            self._postmaster = None

    def _prepare(self) -> None:
        if not self._has_siblings():
            shutil.copytree(prepared_data(self.version), self._data)
            (self._data / "server.conf").touch()
            self._data.chmod(0o700)
        (self.folder / "patroni.yaml").write_text(yaml.safe_dump(self._configuration()))
        hand_over(self.folder)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _has_siblings(self) -> bool:
        """Tell whether the cluster has begun: keys of it are in etcd."""
        body = json.dumps({"key": "L3NlcnZpY2U=", "range_end": "L3NlcnZpY2Yx", "limit": 1}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._etcd.port}/v3/kv/range", body)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return "kvs" in json.load(answer)

    def _configuration(self) -> dict[str, Any]:
        """Return settings with the shortest times that Patroni takes."""
        login = {"username": "postgres", "password": PASSWORDS["postgres"]}
        parameters = SETTINGS | {"unix_socket_directories": str(self.folder)}
        return {
            "scope": "demo",
            "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.api_port}", "connect_address": f"127.0.0.1:{self.api_port}"},
            "etcd3": {"host": f"127.0.0.1:{self._etcd.port}"},
            "bootstrap": {"dcs": {"ttl": 20, "loop_wait": 1, "retry_timeout": 3}},
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(self._data),
                "bin_dir": str(fetch(self.version) / "bin"),
                "pgpass": str(self.folder / "pgpass"),
                "authentication": {"superuser": login, "replication": login},
                "parameters": parameters,
            },
        }

    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(_packages()), "LD_LIBRARY_PATH": str(fetch(self.version) / "lib")}

    def _command(self) -> list[str]:
        return [_python(), "-m", "patroni", "patroni.yaml"]

    def _ready(self) -> bool:
        state = self.get("/patroni")
        if state["state"] != "running" or state.get("cluster_unlocked"):
            return False
        self._postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
        guard.tell(f"started {self._postmaster} {signal.SIGINT.value}")
        return True


def _packages() -> Path:
    requirements = [f"patroni[etcd3]=={VERSION}", "psycopg[binary]>=3.2"]
    name = f"patroni/{VERSION}-{platform.machine()}-{Path(_python()).resolve().name}"
    return cached(name, lambda place: install(requirements, place, _python()))


def _python() -> str:
    """Return an interpreter that the servers' user may enter: PostgreSQL, and so its Patroni, refuses root."""
    for python in (sys.executable, "/usr/bin/python3"):
        if Path(python).exists() and (os.geteuid() != 0 or open_to_all(Path(python).resolve())):
            return python
    raise Unavailable("Patroni needs a Python that others than root may run")
