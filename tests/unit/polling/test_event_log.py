"""A failure is logged once, and its end once."""

from collections.abc import Iterator

import pytest

from exporter.errors import QueryError
from exporter.logs import configure_logs
from exporter.polling.event_log import EventLogger
from exporter.state.events import Event
from tests.support.factories import Events, info, query, restored_logs

EVENTS = Events()


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    with restored_logs():
        yield


def logged(capfd: pytest.CaptureFixture[str], *events: Event, level: str = "info") -> list[str]:
    """Return what is logged of events, without timestamps."""
    configure_logs("logfmt", level, list)
    logger = EventLogger()
    for event in events:
        logger.log(event)
    return [line.partition(" ")[2] for line in capfd.readouterr().err.splitlines()]


UP = 'level=info event="target up" target=orders version=15.4'
DOWN = 'level=warning event="target down" target=orders reason=connect error="connect at db1.example"'


def test_target_is_logged_when_it_fails_and_recovers(capfd: pytest.CaptureFixture[str]) -> None:
    """Not at each poll, and not again when the reason changes."""
    good, bad, other = EVENTS.ping(1.0), EVENTS.failed_ping(1.0), EVENTS.failed_ping(1.0, "timeout")

    assert logged(capfd, good, good, bad, bad, other, bad, good, good) == [UP, DOWN, UP]


def test_target_that_is_down_from_the_start_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    assert logged(capfd, EVENTS.failed_ping(1.0), EVENTS.failed_ping(2.0)) == [DOWN]


def test_role_is_logged_if_there_is_one(capfd: pytest.CaptureFixture[str]) -> None:
    assert logged(capfd, EVENTS.ping(1.0, info(role="replica"))) == [f"{UP} role=replica"]


def test_query_is_logged_when_it_fails_and_recovers(capfd: pytest.CaptureFixture[str]) -> None:
    """A query that works from the start is not logged."""
    good, bad = EVENTS.result(1.0), EVENTS.failed_result(1.0)

    assert logged(capfd, good, good, bad, bad, good, good) == [
        'level=warning event="query failed" target=orders query=sizes reason=timeout error="no answer"',
        'level=info event="query works again" target=orders query=sizes',
    ]


def test_unsupported_query_is_logged_at_debug(capfd: pytest.CaptureFixture[str]) -> None:
    """It is no failure, and there may be many."""
    absent = EVENTS.failed_result(1.0, query("io"), QueryError("unsupported", "needs version >=16"))

    assert logged(capfd, absent) == []
    assert logged(capfd, absent, absent, level="debug") == [
        'level=debug event="query not supported here" target=orders query=io why="needs version >=16"'
    ]


def test_change_of_reason_is_logged_at_debug(capfd: pytest.CaptureFixture[str]) -> None:
    """They are there for who looks."""
    events = EVENTS.failed_ping(1.0), EVENTS.failed_ping(2.0, "timeout")

    assert [line.split()[0] for line in logged(capfd, *events, level="debug")] == ["level=warning", "level=debug"]


def test_lost_server_is_logged_once_not_for_each_query(capfd: pytest.CaptureFixture[str]) -> None:
    """Queries of the slow lane fail before the next ping does; the line of the ping is enough."""
    lost = [EVENTS.failed_result(1.0, query(name), QueryError("connect", "refused")) for name in ("a", "b")]
    back = [EVENTS.result(2.0, query(name)) for name in ("a", "b")]

    assert logged(capfd, EVENTS.ping(1.0), *lost, EVENTS.failed_ping(1.5), EVENTS.ping(2.0), *back) == [UP, DOWN, UP]
