"""The health endpoints: of the data tier, for load balancers and people, and of this process, for its supervisor."""

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import wraps
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from exporter.health.parameters import Pairs, conditions_of, flag, judge, known_ones, parameters
from exporter.health.probes import alive, ready, started
from exporter.health.rendered import RenderedHealth
from exporter.health.report import HealthReport, Line, exporter_faults, verbose
from exporter.health.target_health import target_health
from exporter.polling.schedule import seconds_to_next_poll
from exporter.service import Service
from exporter.state.events import Instant
from exporter.web.middleware import is_authenticated
from exporter.web.responses import plain_response

_VIEW = ("verbose", "exclude")
_RETRY_SECONDS = 1  # when no target fails, and the cause ends by itself, such as a start
_Method = Callable[["HealthEndpoints", Request], Awaitable[Response]]


def _checks_parameters(method: _Method) -> _Method:
    """Answer 400 with the message of a ValueError, which names the parameters there are."""

    @wraps(method)
    async def answer(self: "HealthEndpoints", request: Request) -> Response:
        try:
            return await method(self, request)
        except ValueError as error:
            return plain_response(str(error), 400)

    return answer


class View(NamedTuple):
    """Hold the parameters of all endpoints but that of one target: one line for each item, and names to leave out."""

    verbose: bool
    excluded: frozenset[str]

    def of(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self.excluded]

    def lines(self, lines: Iterable[Line]) -> list[Line]:
        return [line for line in lines if line.name not in self.excluded]

    def notes(self, names: Iterable[str]) -> list[str]:
        return [f"exclude={name}: there is no such thing here" for name in sorted(self.excluded.difference(names))]


def _view(pairs: Pairs) -> View:
    found = parameters(pairs, _VIEW, repeatable=("exclude",))
    return View(flag(found, "verbose"), frozenset(found.get("exclude", ())))


def _probe_view(request: Request) -> View:
    return _view(known_ones(request.query_params.multi_items(), _VIEW))


class HealthEndpoints:
    """Answer from the snapshot; no request reaches a store."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @_checks_parameters
    async def livez(self, request: Request) -> Response:
        now = self._service.now()
        lines = alive(self._service.snapshot, now)
        return self._probe_response(request, lines, now, [line.name for line in lines if line.failed])

    @_checks_parameters
    async def startupz(self, request: Request) -> Response:
        now = self._service.now()
        return self._probe_response(request, self._start_lines(now), now)

    @_checks_parameters
    async def readyz(self, request: Request) -> Response:
        """Check the process alone, and with `readyz: {require: [group]}` also the targets of these groups."""
        now, view, snapshot = self._service.now(), _probe_view(request), self._service.snapshot
        required = self._service.config.readyz.require
        groups = {group: self._service.health.of(view.of(snapshot.members(group)), now) for group in required}
        lines = list(ready(view.lines(self._start_lines(now)), groups, draining=self._service.draining))
        failing = [part.health.name for parts in groups.values() for part in parts if part.health.counted == "fail"]
        return self._probe_response(request, lines, now, failing)

    @_checks_parameters
    async def health(self, request: Request) -> Response:
        return self._targets_response(request, [*self._service.snapshot.targets])

    @_checks_parameters
    async def group_health(self, request: Request) -> Response:
        names = self._service.snapshot.members(request.path_params["name"])
        if not names:
            return plain_response("no target is in such a group", 404)
        return self._targets_response(request, names)

    @_checks_parameters
    async def target_health(self, request: Request) -> Response:
        """Check one target, also against conditions of the request: ?role=primary&max_lag=10s&max_age=30s."""
        name, snapshot, now = request.path_params["name"], self._service.snapshot, self._service.now()
        if name not in snapshot.targets:
            return plain_response("no such target is configured", 404)
        conditions = conditions_of(request.query_params.multi_items())
        kept = self._service.health.refresh(name, now)
        health = target_health(snapshot, name, now, raw=True) if conditions.raw else kept.health
        judged = judge(health, conditions, now)
        part = kept if judged is kept.health else RenderedHealth.of(judged)
        return self._report_response(request, HealthReport(snapshot, [part], now), now, in_lines=conditions.verbose)

    def _targets_response(self, request: Request, names: Sequence[str]) -> Response:
        now, view = self._service.now(), _view(request.query_params.multi_items())
        parts = self._service.health.of(view.of(names), now)
        report = HealthReport(self._service.snapshot, parts, now, view.notes(names))
        return self._report_response(request, report, now, in_lines=view.verbose)

    def _report_response(self, request: Request, report: HealthReport, now: Instant, *, in_lines: bool) -> Response:
        """Respond with the whole body, a line for each target, or, without authentication, the status alone."""
        code, headers = (503, self._retry_after(report.failing, now)) if report.status == "fail" else (200, {})
        if not is_authenticated(request):
            return _json(f'{{"status": "{report.status}"}}\n', code, headers)
        if in_lines:
            return plain_response(report.verbose(_check_name(request)), code, headers)
        return _json(report.json(), code, headers)

    def _start_lines(self, now: Instant) -> list[Line]:
        return started(self._service.snapshot, self._service.start_deadline, now)

    def _probe_response(
        self, request: Request, lines: Sequence[Line], now: Instant, failing: Sequence[str] = ()
    ) -> Response:
        """Respond with ok, or with a line for each check if one fails or the request is for verbose output."""
        view, names = _probe_view(request), [line.name for line in lines]
        lines = view.lines(lines)
        failed = any(line.failed for line in lines)
        code, headers = (503, self._retry_after(failing, now)) if failed else (200, {})
        if is_authenticated(request) and (failed or view.verbose):
            notes = [
                *view.notes([*names, *self._service.snapshot.targets]),
                *exporter_faults(self._service.snapshot, now),
            ]
            return plain_response(verbose(_check_name(request), lines, notes, failed=failed), code, headers)
        return plain_response("failed" if failed else "ok", code, headers)

    def _retry_after(self, names: Iterable[str], now: Instant) -> dict[str, str]:
        """Return the header with the seconds until the first of these targets has been polled again."""
        snapshot = self._service.snapshot
        waits = [seconds_to_next_poll(snapshot.targets[name], snapshot.status[name], now) for name in names]
        return {"Retry-After": str(math.ceil(min(waits, default=_RETRY_SECONDS)))}


def _check_name(request: Request) -> str:
    return request.url.path.rpartition("/")[2]


def _json(text: str, status: int, headers: dict[str, str]) -> Response:
    return Response(text, status, headers, media_type="application/health+json")
