"""One line for each event, in the configured format, without secrets."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from exporter.logs import blanked, configure_logs
from tests.support.factories import restored_logs


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


def test_logfmt_has_one_line_for_each_event(capfd: pytest.CaptureFixture[str]) -> None:
    """Key, value, quotes where they are needed; nothing for what is None."""
    configure_logs("logfmt", "info", list)
    structlog.get_logger("exporter").warning(
        "target down", target="orders", reason="connect", error='"a"\n  b', role=None
    )

    assert lines(capfd) == ['level=warning event="target down" target=orders reason=connect error="\\"a\\" b"']


def test_json_has_one_object_for_each_event(capfd: pytest.CaptureFixture[str]) -> None:
    """Numbers stay numbers."""
    configure_logs("json", "info", list)
    structlog.get_logger("exporter").info("starting", targets=4, database=None)
    event = json.loads(capfd.readouterr().err)

    assert event.pop("timestamp").endswith("Z")
    assert event == {"level": "info", "event": "starting", "targets": 4}


@pytest.mark.parametrize("kind", ["logfmt", "json"])
def test_traceback_is_one_line(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Also one that another library logs."""
    configure_logs("json" if kind == "json" else "logfmt", "info", list)
    raise_and_log("bug")
    logged = capfd.readouterr().err.splitlines()

    assert len(logged) == 2
    assert all("ValueError: bug" in line for line in logged)


@pytest.mark.parametrize("kind", ["logfmt", "json"])
def test_secrets_are_blanked(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In all fields, in tracebacks, and in messages of other libraries; also secrets with quotes."""
    secrets = ['hunt"er\\22']
    configure_logs("json" if kind == "json" else "logfmt", "info", lambda: secrets)
    raise_and_log(f"no login with {secrets[0]}")
    structlog.get_logger("exporter").warning(secrets[0], error=f"x{secrets[0]}", target=secrets[0])
    logging.getLogger("asyncpg").warning("password=%s", secrets[0])
    logged = capfd.readouterr().err

    assert "hunt" not in logged
    assert logged.count("***") == 6


def test_changed_secret_is_blanked(capfd: pytest.CaptureFixture[str]) -> None:
    """Secret files rotate; the current secret counts."""
    secrets = ["first1"]
    configure_logs("logfmt", "info", lambda: secrets)
    secrets[:] = ["second2"]
    structlog.get_logger("exporter").warning("first1 second2")

    assert lines(capfd) == ['level=warning event="first1 ***"']


def test_longer_secret_is_blanked_before_its_prefix() -> None:
    """Otherwise its end would remain."""
    assert blanked("a hunter22 and hunter", ["hunter", "hunter22"]) == "a *** and ***"


def test_very_short_secret_is_not_blanked() -> None:
    """It would garble ordinary words."""
    assert blanked("a sentence about abc", ["a", "abc"]) == "a sentence about abc"


@pytest.mark.parametrize(
    ("level", "logged"), [("debug", ["debug", "info", "error"]), ("info", ["info", "error"]), ("error", ["error"])]
)
def test_level_applies_to_the_exporter_alone(level: str, logged: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Other libraries log from warning on."""
    configure_logs("logfmt", level, list)
    log = structlog.get_logger("exporter")
    log.debug("x")
    log.info("x")
    log.error("x")
    logging.getLogger("httpx").info("GET /")

    assert lines(capfd) == [f"level={name} event=x" for name in logged]


ACTING = "\x1b]0;title\x07\x1b[2J\x9b31m\r\u202e\u2066\u2028\u200b\ud83d\x00\x7f"


@pytest.mark.parametrize("kind", ["logfmt", "json"])
def test_fields_are_printable(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In fields of any type, in tracebacks, and in messages of other libraries."""
    configure_logs("json" if kind == "json" else "logfmt", "info", list)
    said = ValueError(ACTING)
    structlog.get_logger("exporter").warning(
        f"a\n{ACTING}", target=ACTING, error=said, found=[ACTING], name={"a": said}
    )
    raise_and_log(ACTING)
    logging.getLogger("httpx").warning("%s", ACTING)  # neo4j is silenced where it connects
    logging.getLogger("asyncpg").warning(ACTING, stack_info=True)
    logged = capfd.readouterr().err.splitlines()

    assert len(logged) == 5
    assert all(line.isprintable() for line in logged)
    assert all("x1b]0;title" in line for line in logged)


def test_long_field_is_truncated(capfd: pytest.CaptureFixture[str]) -> None:
    """A secret that lies across the end is blanked before."""
    configure_logs("logfmt", "info", lambda: ["hunter22"])
    structlog.get_logger("exporter").warning("failed", error="x" * 19_996 + "hunter22" + "y" * 1_000_000)
    [line] = lines(capfd)

    assert line.endswith('xx***y… (1019999 characters)"')
    assert "hunt" not in line
    assert len(line) < 21_000


def test_secret_in_a_field_of_another_type_is_blanked(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "info", lambda: ["hunter22"])
    structlog.get_logger("exporter").warning("failed", error=ValueError("hunter22"), found=["hunter22"], number=4)
    event = json.loads(capfd.readouterr().err)

    assert (event["error"], event["found"], event["number"]) == ("***", "['***']", 4)
