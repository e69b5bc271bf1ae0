"""A real Alertmanager with our configuration, and somebody who takes down what comes out of it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from testkit.process import free_port
from testkit.prometheus import Alertmanager
from testkit.session import Servers
from tests.support.paths import ROOT

ALERTS = ROOT / "alerts"
SECONDS = 60


class Sink:
    """Take mails by SMTP and everything else by HTTP, by the path it was sent to."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.posts: dict[str, list[Any]] = {}

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        content = envelope.content
        self.mails.append(content.encode() if isinstance(content, str) else content or b"")
        return "250 OK"


@contextmanager
def listening(sink: Sink) -> Iterator[tuple[int, int]]:
    """Yield the ports of SMTP and HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            sink.posts.setdefault(self.path, []).append(body)
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    mail = Controller(sink, hostname="127.0.0.1", port=free_port())
    mail.start()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, name="sink")
        thread.start()
        try:
            yield mail.port, web.server_port
        finally:
            web.shutdown()
            thread.join()
            mail.stop()


def configuration(folder: Path, smtp: int, http: int, *, at_work: bool) -> dict[str, Any]:
    """Return our configuration, impatient, with the sink in everybody's place; it is working hours, or never."""
    web = f"http://127.0.0.1:{http}"
    (folder / "slack").write_text(f"{web}/slack")
    (folder / "pagerduty").write_text("0123456789abcdef0123456789abcdef")
    config: dict[str, Any] = yaml.safe_load((ALERTS / "alertmanager.yaml").read_text())
    config["global"] |= {
        "smtp_smarthost": f"127.0.0.1:{smtp}",
        "smtp_require_tls": False,
        "slack_api_url_file": str(folder / "slack"),
        "pagerduty_url": f"{web}/pagerduty",
    }
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    hours = {"weekdays": ["sunday:saturday"]} if at_work else {"years": ["2001"]}
    config["time_intervals"] = [{"name": "business_hours", "time_intervals": [hours]}]
    for receiver in config["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = f"{web}/{receiver['name']}"
        for pager in receiver.get("pagerduty_configs", []):
            pager["routing_key_file"] = str(folder / "pagerduty")
    return config


class Desk(NamedTuple):
    """An Alertmanager, and what came out of it."""

    alertmanager: Alertmanager
    sink: Sink

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"in vain for {what}; came: {self.sink.posts.keys()}, {len(self.sink.mails)} mails")
            time.sleep(0.1)

    def suppressed(self) -> set[str]:
        """Name the alerts that others make needless."""
        return {named(found["labels"]) for found in self.alertmanager.alerts() if found["status"]["inhibitedBy"]}

    def active(self) -> set[str]:
        return {named(found["labels"]) for found in self.alertmanager.alerts() if not found["status"]["inhibitedBy"]}


@contextmanager
def desk(servers: Servers, folder: Path, *, at_work: bool = True) -> Iterator[Desk]:
    sink = Sink()
    with listening(sink) as (smtp, http):
        config = configuration(folder, smtp, http, at_work=at_work)
        with servers.private_alertmanager(config, ALERTS / "templates") as alertmanager:
            yield Desk(alertmanager, sink)


def named(labels: dict[str, str]) -> str:
    parts = (labels.get(key, "") for key in ("alertname", "severity", "target", "check", "datname"))
    return " ".join(part for part in parts if part)
