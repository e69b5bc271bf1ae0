"""What reference/health.md shows is seen, and what how-to/health-checks.md offers to copy works, on real servers."""

import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.config import load_config
from testkit import Unavailable
from testkit.debian import libraries, program
from testkit.machine import hand_over
from testkit.process import Process, free_port
from testkit.session import Servers
from tests.support.documented import pieces
from tests.support.exporter_process import Answer, Exporter
from tests.support.paths import DOCS

PLACE = "http://127.0.0.1:9187"
RECIPES = "how-to/health-checks.md"
PAGE = (DOCS / RECIPES).read_text(encoding="utf-8")
COMMANDS = [piece.partition("\n") for piece in pieces("reference/health.md", "console")]
ROLES = sorted(set(re.findall(r"/health/targets/(?:local|NAME|%\[srv_name\])(\?role=[\w&=]+)", PAGE)))

pytestmark = pytest.mark.servers("postgres:18", "replica:18")


@pytest.fixture(scope="module")
def exporter(servers: Servers) -> Iterator[Exporter]:
    """Run what the page's examples were asked of."""
    targets = [
        servers.postgres().target("orders-1", groups=["write"]),
        servers.replica().target("orders-2"),
        {"name": "search", "store": "qdrant", "url": f"http://127.0.0.1:{free_port()}", "required": False},
    ]
    with Exporter(targets) as exporter:
        exporter.wait_up("orders-1", "orders-2")
        exporter.wait(lambda: exporter.state("search") == "down", "the target without a server")
        yield exporter


def shape(text: str) -> str:
    """Leave out what differs from run to run: numbers, and words of a date."""
    return re.sub(r"\d[\d.]*(e-\d+)?", "#", re.sub(r"(?m)^date: .*", "date: #", text.replace("\r", "")))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on the PATH")
@pytest.mark.parametrize(("command", "shown"), [(one.removeprefix("$ "), shown) for one, _, shown in COMMANDS])
def test_a_command_answers_as_shown(exporter: Exporter, command: str, shown: str) -> None:
    words = shlex.split(command.replace(PLACE, f"http://127.0.0.1:{exporter.port}"))
    assert words[0] == "curl"

    def printed() -> str:
        return shape(subprocess.run([*words, "-sS"], check=True, capture_output=True, text=True, timeout=30).stdout)

    exporter.wait(lambda: printed() == shape(shown), f"this answer:\n{shown}", 60)  # a poll may fail on a busy machine


def test_every_condition_of_the_snippets_tells_the_servers_apart(exporter: Exporter) -> None:
    """Primary and replica answer each of them differently, once the lag in bytes was read."""
    wanted = {role: [200, 503] if "primary" in role else [503, 200] for role in ROLES}

    def found() -> dict[str, list[int]]:
        targets = ("orders-1", "orders-2")
        return {role: [exporter.get(f"/health/targets/{name}{role}").status for name in targets] for role in ROLES}

    assert len(wanted) >= 4
    exporter.wait(lambda: found() == wanted, f"{wanted}", 120)


def test_kubernetes_probes_pass(exporter: Exporter) -> None:
    """The manifest is YAML, its paths are pages, and it waits longer than the process takes to end."""
    [pod] = [document["spec"]["template"]["spec"] for document in documents("kind: Deployment")]
    [container] = pod["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}

    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/startupz",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert [exporter.get(probe["path"]).status for probe in probes.values()] == [200] * 3
    assert {probe["port"] for probe in probes.values()} == {port["name"] for port in container["ports"]}
    assert pod["terminationGracePeriodSeconds"] > 10


def test_compose_waits_for_the_database(exporter: Exporter) -> None:
    """The health check's command passes and fails with the page that it asks."""
    [services] = [document["services"] for document in documents("services:")]
    kind, python, *arguments = services["exporter"]["healthcheck"]["test"]
    ours = [argument.replace("9187", str(exporter.port)) for argument in arguments]
    other = [argument.replace("/groups/write", "/targets/search") for argument in ours]

    assert (kind, python) == ("CMD", "python")
    assert services["application"]["depends_on"] == {"exporter": {"condition": "service_healthy"}}
    assert [run([sys.executable, *command]).returncode for command in (ours, other)] == [0, 1]


def documents(mark: str) -> list[Any]:
    return [yaml.safe_load(piece) for piece in pieces(RECIPES, "yaml") if mark in piece]


def test_the_targets_for_haproxy_are_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of no importance")
    text = pieces(RECIPES, "yaml")[0].replace("/run/secrets/orders", str(tmp_path / "secret"))
    (tmp_path / "datatier.yaml").write_text(text)

    assert [target.name for target in load_config(tmp_path / "datatier.yaml").targets] == ["orders-1", "orders-2"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on the PATH")
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    """No unknown key, no bad value; and little that an intruder could use."""
    [unit] = pieces(RECIPES, "ini")
    file = tmp_path / "datatier-exporter.service"
    file.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", unit))
    verified = run(["systemd-analyze", "verify", "--man=no", str(file)])
    judged = run(["systemd-analyze", "security", "--offline=true", "--threshold=30", str(file)])

    assert [line for line in verified.stderr.splitlines() if file.name in line] == []
    assert judged.returncode == 0, judged.stdout[-300:]


@pytest.mark.parametrize("command", ["aws elbv2", "gcloud compute"])
def test_commands_of_clouds_are_one_line_for_a_shell(command: str) -> None:
    """They are parsed as a shell does; whether the clouds take them was not tried."""
    [text] = [part for piece in pieces(RECIPES, "sh") for part in piece.split("\n\n") if part.startswith(command)]
    words = shlex.split(text)

    assert "/health/targets/local?role=primary" in words
    assert all(word.startswith("--") for word in words[3:] if "-" in word[:2])


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


class Nginx(Process):
    """One nginx with the page's locations, before an application of ours and an exporter."""

    def __init__(self, application: int, exporter: int) -> None:
        super().__init__("nginx")
        self.port = free_port()
        [locations] = pieces(RECIPES, "nginx")
        assert locations.count("127.0.0.1:8000") == locations.count("127.0.0.1:9187") == 1
        self._locations = locations.replace(":8000", f":{application}").replace(":9187", f":{exporter}")

    def get(self, path: str) -> Answer:
        return Exporter.get(self, path)  # type: ignore[arg-type]

    def _prepare(self) -> None:
        temporary = "".join(
            f"{kind}_temp_path {kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}server {{\nlisten 127.0.0.1:{self.port};\n{self._locations}}}\n}}\n"
        )
        hand_over(self.folder)

    def _environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": libraries(program("nginx"))}

    def _command(self) -> list[str]:
        return [str(program("nginx")), "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr"]

    def _ready(self) -> bool:
        return self.get("/").status != 0


@pytest.fixture
def nginx_is_here(servers: Servers) -> None:
    try:
        program("nginx")
    except Unavailable as reason:
        servers.skip("nginx", str(reason))


@pytest.fixture
def application() -> Iterator[int]:
    """Serve one page, on the port returned."""

    class Application(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"the application\n")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("nginx_is_here")
def test_nginx_spares_an_application_what_would_fail(application: int) -> None:
    """Requests pass while the group passes, and when the exporter does not answer; else they get a 503 in words."""
    down = {
        "name": "orders",
        "store": "postgres",
        "url": f"postgresql://u@127.0.0.1:{free_port()}",
        "groups": ["write"],
    }
    with Exporter([down]) as exporter, Nginx(application, exporter.port) as nginx:
        exporter.wait(lambda: exporter.get("/health/groups/write").status == 503, "the group to fail")
        failing = nginx.get("/")
        exporter.stop()
        unasked = nginx.get("/")

    assert (failing.status, failing.body) == (503, b"The database is away for a moment.\n")
    assert failing.headers["Retry-After"] == "10"
    assert (unasked.status, unasked.body) == (200, b"the application\n")


@pytest.mark.usefixtures("nginx_is_here")
def test_nginx_lets_through_what_a_healthy_group_stands_for(exporter: Exporter, application: int) -> None:
    with Nginx(application, exporter.port) as nginx:
        answer = nginx.get("/")

    assert (answer.status, answer.body) == (200, b"the application\n")
