"""Logging: one line for each event, as logfmt or JSON, without any configured secret."""

import logging
import os
import select
import sys
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Literal

import structlog

LogFormat = Literal["logfmt", "json"]
LOG_LEVELS = ("debug", "info", "warning", "error")
_MAX_FIELD = 20_000  # characters
_TRACEBACKS = ("exception", "stack")
_MIN_SECRET = 4  # characters: replacing shorter ones would garble ordinary words

_log = structlog.get_logger("exporter")


def configure_logs(kind: LogFormat, level: str, secrets: Callable[[], Iterable[str]]) -> None:
    """Write the events of structlog and the standard library to stderr, with the current secrets replaced by ***."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        _as_text,
        _redactor(secrets),
        _printable,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    as_logfmt = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)
    renderer = structlog.processors.JSONRenderer() if kind == "json" else as_logfmt
    handler = logging.NullHandler() if sys.__stderr__ is None else _Handler(sys.__stderr__.fileno())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_none, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # store clients log details below that
    logging.getLogger("exporter").setLevel(level.upper())


class _Handler(logging.Handler):
    """Write lines to a file descriptor; drop those whose write would fail or block.

    A full disk or a log collector that hangs must not stop the service. The number of dropped lines is logged when
    writing works again.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._writable = select.poll()
        self._writable.register(descriptor, select.POLLOUT)
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = (self.format(record) + "\n").encode(errors="backslashreplace")
        try:
            written = self._write(line)
        except OSError:
            written = False
        dropped, self._dropped = self._dropped, 0
        if not written:
            self._dropped = dropped + 1
        elif dropped:
            _log.warning("log lines were lost: standard error could not be written", lines=dropped)

    def _write(self, line: bytes) -> bool:
        """Write in pieces that a pipe accepts whole or not at all."""
        for start in range(0, len(line), select.PIPE_BUF):
            if not any(events & select.POLLOUT for _, events in self._writable.poll(0)):
                return False
            os.write(self._descriptor, line[start : start + select.PIPE_BUF])
        return True


def blanked(text: str, secrets: Iterable[str]) -> str:
    """Replace the secrets in a text, the longest first, since one may be a prefix of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _MIN_SECRET:
            text = text.replace(secret, "***")
    return text


def _redactor(secrets: Callable[[], Iterable[str]]) -> structlog.typing.Processor:
    def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        texts = {key: value for key, value in event.items() if isinstance(value, str)}
        hidden = [secret for secret in secrets() if any(secret in text for text in texts.values())]
        event.update({key: blanked(text, hidden) for key, text in texts.items()})
        return event

    return redact


def _as_text(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Convert fields to text, so that the next processors see them, and errors to a single line."""
    for key, value in event.items():
        if not (key.startswith("_") or isinstance(value, str | int | float | None)):
            event[key] = str(value)
    if isinstance(event.get("error"), str):
        event["error"] = " ".join(event["error"].split())
    return event


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape control characters and truncate long fields; tracebacks keep their lines."""
    for key, value in event.items():
        if isinstance(value, str):
            cut = value if len(value) <= _MAX_FIELD else f"{value[:_MAX_FIELD]}… ({len(value)} characters)"
            event[key] = visible(cut, "\n" if key in _TRACEBACKS else "")
    return event


def _without_none(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value for key, value in event.items() if value is not None}


def visible(text: str, keep: str = "") -> str:
    """Escape what is not printable, such as control characters, line breaks, direction marks and lone surrogates.

    keep: characters to leave as they are.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)
