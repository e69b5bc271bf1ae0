"""One line an event, in the format asked for, without a secret in it."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from exporter.logs import blanked, configure_logs
from tests.making import restored_logs


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    with restored_logs():
        yield


def fail(message: str) -> None:
    raise ValueError(message)


def raise_and_log(message: str) -> None:
    try:
        fail(message)
    except ValueError as error:
        structlog.get_logger("exporter").critical("crashed", exc_info=error)
        logging.getLogger("uvicorn.error").exception("failed")


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was logged, each line without its timestamp."""
    captured = capfd.readouterr()
    assert captured.out == ""
    return [line.partition(" ")[2] for line in captured.err.splitlines()]


def test_logfmt(capfd: pytest.CaptureFixture[str]) -> None:
    """Key, value, quotes where they are needed; nothing for what is None."""
    configure_logs("logfmt", "info", list)
    structlog.get_logger("exporter").warning(
        "target down", target="orders", reason="connect", error='"a"\n  b', role=None
    )

    assert lines(capfd) == ['level=warning event="target down" target=orders reason=connect error="\\"a\\" b"']


def test_json(capfd: pytest.CaptureFixture[str]) -> None:
    """One object a line, numbers as numbers."""
    configure_logs("json", "info", list)
    structlog.get_logger("exporter").info("starting", targets=4, database=None)
    event = json.loads(capfd.readouterr().err)

    assert event.pop("timestamp").endswith("Z")
    assert event == {"level": "info", "event": "starting", "targets": 4}


@pytest.mark.parametrize("kind", ["logfmt", "json"])
def test_a_traceback_is_one_line(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Ours, and those that other libraries log."""
    configure_logs("json" if kind == "json" else "logfmt", "info", list)
    raise_and_log("bug")
    logged = capfd.readouterr().err.splitlines()

    assert len(logged) == 2
    assert all("ValueError: bug" in line for line in logged)


@pytest.mark.parametrize("kind", ["logfmt", "json"])
def test_secrets_are_blanked(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In every field, in tracebacks, and in what other libraries say; quotes in a secret do not save it."""
    secrets = ['hunt"er\\22']
    configure_logs("json" if kind == "json" else "logfmt", "info", lambda: secrets)
    raise_and_log(f"no login with {secrets[0]}")
    structlog.get_logger("exporter").warning(secrets[0], error=f"x{secrets[0]}", target=secrets[0])
    logging.getLogger("asyncpg").warning("password=%s", secrets[0])
    logged = capfd.readouterr().err

    assert "hunt" not in logged
    assert logged.count("***") == 6


def test_a_secret_that_changed_is_blanked(capfd: pytest.CaptureFixture[str]) -> None:
    """Files rotate; the present secret counts."""
    secrets = ["first1"]
    configure_logs("logfmt", "info", lambda: secrets)
    secrets[:] = ["second2"]
    structlog.get_logger("exporter").warning("first1 second2")

    assert lines(capfd) == ['level=warning event="first1 ***"']


def test_a_secret_that_begins_another_hides_both() -> None:
    """The longer one goes first, or its end would stay."""
    assert blanked("a hunter22 and hunter", ["hunter", "hunter22"]) == "a *** and ***"


def test_a_very_short_secret_blanks_nothing() -> None:
    """It would blank half of every word."""
    assert blanked("a sentence about abc", ["a", "abc"]) == "a sentence about abc"


@pytest.mark.parametrize(
    ("level", "logged"), [("debug", ["debug", "info", "error"]), ("info", ["info", "error"]), ("error", ["error"])]
)
def test_levels(level: str, logged: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Ours are as asked; other libraries speak from warnings on."""
    configure_logs("logfmt", level, list)
    log = structlog.get_logger("exporter")
    log.debug("x")
    log.info("x")
    log.error("x")
    logging.getLogger("httpx").info("GET /")

    assert lines(capfd) == [f"level={name} event=x" for name in logged]
