"""Logging: logfmt or JSON, one line an event, and no configured secret in any of them."""

import logging
import os
import select
import sys
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Literal

import structlog

LogFormat = Literal["logfmt", "json"]
LOG_LEVELS = ("debug", "info", "warning", "error")
_LONGEST = 20_000  # characters of a field
_TRACEBACKS = ("exception", "stack")
_SHORTEST_SECRET = 4  # shorter ones would blank out ordinary words

_log = structlog.get_logger("exporter")


def configure_logs(kind: LogFormat, level: str, secrets: Callable[[], Iterable[str]]) -> None:
    """Send structlog's and the standard library's events to stderr, every present secret blanked out."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        _texts,
        _redactor(secrets),
        _harmless,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if kind == "json"
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)
    )
    handler = logging.NullHandler() if sys.__stderr__ is None else _Handler(sys.__stderr__.fileno())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_nothing, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # clients speak up when something is wrong, and only then
    logging.getLogger("exporter").setLevel(level.upper())


class _Handler(logging.Handler):
    """Write lines to a file descriptor, and lose them where that fails or would have to wait.

    A full disk or a log collector that hangs must not stop the service. The loss is told with the first line that
    can be written again.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._writable = select.poll()
        self._writable.register(descriptor, select.POLLOUT)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = (self.format(record) + "\n").encode(errors="backslashreplace")
        try:
            written = self._write(line)
        except OSError:
            written = False
        lost, self._lost = self._lost, 0
        if not written:
            self._lost = lost + 1
        elif lost:
            _log.warning("log lines were lost: standard error could not be written", lines=lost)

    def _write(self, line: bytes) -> bool:
        """Write in pieces that a pipe takes whole when it takes anything."""
        for start in range(0, len(line), select.PIPE_BUF):
            if not any(events & select.POLLOUT for _, events in self._writable.poll(0)):
                return False
            os.write(self._descriptor, line[start : start + select.PIPE_BUF])
        return True


def blanked(text: str, secrets: Iterable[str]) -> str:
    """Return the text without any of the secrets, the longest first: one may be the beginning of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def _redactor(secrets: Callable[[], Iterable[str]]) -> structlog.typing.Processor:
    def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        texts = {key: value for key, value in event.items() if isinstance(value, str)}
        hidden = [secret for secret in secrets() if any(secret in text for text in texts.values())]
        event.update({key: blanked(text, hidden) for key, text in texts.items()})
        return event

    return redact


def _texts(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turn every field that the others are to look at into a text, an error's into one line."""
    for key, value in event.items():
        if not (key.startswith("_") or isinstance(value, str | int | float | None)):
            event[key] = str(value)
    if isinstance(event.get("error"), str):
        event["error"] = " ".join(event["error"].split())
    return event


def _harmless(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write out what would act on a terminal, cut what would fill a disk; the lines of a traceback stay lines."""
    for key, value in event.items():
        if isinstance(value, str):
            cut = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}… ({len(value)} characters)"
            event[key] = visible(cut, "\n" if key in _TRACEBACKS else "")
    return event


def _without_nothing(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value for key, value in event.items() if value is not None}


def visible(text: str, keep: str = "") -> str:
    """Write out what is not printable: control characters, ends of lines, changes of direction, half surrogates.

    keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in keep else ascii(sign)[1:-1] for sign in text)
