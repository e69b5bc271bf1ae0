"""A client of the simple protocol, the only one of PgBouncer's console: text in, rows out, within bounds."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

from exporter.config.libpq.conninfo import Conninfo, Host
from exporter.datastores.keepalive import keepalive
from exporter.datastores.pgwire.encoding import decode
from exporter.datastores.pgwire.errors import ServerError
from exporter.datastores.pgwire.login import Login, Terms, check_peer
from exporter.datastores.pgwire.messages import LOGIN_BYTES, SSL_REQUEST, Scale, length_of, message, startup, too_much
from exporter.datastores.pgwire.tls import attempts, context_of
from exporter.datastores.tls import certificate_of
from exporter.errors import QueryError
from exporter.queries.query import Row

_ANSWER_BYTES = 16 * 1024 * 1024  # of memory, as `Scale` weighs it

_TYPES: Mapping[int, Callable[[str], object]] = MappingProxyType(
    {16: lambda text: text == "t", 20: int, 21: int, 23: int, 26: int, 700: float, 701: float, 1700: float}
)
_ROWS_AT_ONCE = 256
_CUT_OFF = "the server ended the connection amid an answer"


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._scale = Scale(_ANSWER_BYTES)
        self.closed = False

    @classmethod
    async def connect(cls, info: Conninfo, terms: Terms, tls: ssl.SSLContext | None) -> Self:
        """Log in at the first host that accepts us; `tls` is the context of the target's own keys."""
        error: Exception = OSError("no host")
        for host in info.hosts:
            for encrypted in (False,) if host.socket else (True,) if tls else attempts(info):
                client = None
                try:
                    context = tls or context_of(info) if encrypted else None
                    required = tls is not None or info.get("sslmode", "prefer") not in ("allow", "prefer")
                    client = cls(*await opened(info, host, context, required=required))
                    await client._log_in(info, terms)
                except (OSError, ServerError) as failed:
                    error = failed
                except asyncio.IncompleteReadError:
                    error = ConnectionResetError(_CUT_OFF)
                except BaseException:
                    if client is not None:
                        client.abort()
                    raise
                else:
                    return client
                if client is not None:
                    client.abort()
                if isinstance(error, ServerError) and error.code == "28P01":
                    raise error  # the password is wrong by any other way, too
        raise error

    @property
    def certificate(self) -> bytes | None:
        return certificate_of(self._writer)

    async def rows(self, command: str) -> list[Row]:
        """Run a command; where its end does not arrive, for any reason, drop the connection."""
        try:
            self._scale.reset()
            self._writer.write(message(b"Q", command.encode() + b"\0"))
            return await self._answer()
        except ServerError as error:
            if error.fatal:
                self.abort()
            raise
        except asyncio.IncompleteReadError:
            self.abort()
            raise ConnectionResetError(_CUT_OFF) from None
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        self.closed = True
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection in order."""
        if not self.closed:
            self.closed = True
            self._writer.write(message(b"X", b""))
            self._writer.close()

    async def _log_in(self, info: Conninfo, terms: Terms) -> None:
        local = self._writer.get_extra_info("socket").family == socket.AF_UNIX
        login = Login(terms, self.certificate, local or self.certificate is not None)
        words = {"user": info.user, "database": info.database, "application_name": "datatier-exporter"}
        self._writer.write(startup({**words, "client_encoding": "UTF8", **info.proxy_options}))
        said, kind = 0, b""
        while kind != b"Z":
            kind, body = await self._message()
            said += len(body)
            if said > LOGIN_BYTES:
                raise too_much("before the login ended", LOGIN_BYTES)
            if kind == b"E":
                raise ServerError(_fields(body))
            if kind == b"R" and (reply := await login.respond(int.from_bytes(body[:4]), body[4:])):
                self._writer.write(reply)

    async def _answer(self) -> list[Row]:
        columns: list[tuple[str, int]] = []
        rows: list[Row] = []
        failed: ServerError | None = None
        while True:
            kind, body = await self._message(weighed=True)
            if kind == b"T":
                columns = _columns(body)
            elif kind == b"D":
                rows.append(_row(columns, body))
                if len(rows) % _ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)  # a fast server has the next ready: no other task would run
            elif kind == b"E":
                failed = ServerError(_fields(body))
                if failed.fatal:
                    raise failed
            elif kind == b"Z":
                if failed is not None:
                    raise failed
                return rows

    async def _message(self, *, weighed: bool = False) -> tuple[bytes, bytes]:
        """Read one message: weighed as a part of a result, or else one of the login."""
        header = await self._reader.readexactly(5)
        length = length_of(header)
        if weighed:
            self._scale.weigh(header[0], length, length // 8 if header[:1] == b"D" else 0)
        elif length > LOGIN_BYTES:
            raise too_much("before the login ended", LOGIN_BYTES)
        return header[:1], await self._reader.readexactly(length)


async def opened(
    info: Conninfo, host: Host, tls: ssl.SSLContext | None, *, required: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a host, over TLS where a context is given; raise OSError, also where there is none but must be."""
    if host.socket is not None:
        reader, writer = await asyncio.open_unix_connection(host.socket)
        check_peer(writer.get_extra_info("socket"), info.get("requirepeer"))
        return reader, writer
    direct = tls is not None and info.get("sslnegotiation") == "direct"
    name = host.name if direct else None
    reader, writer = await asyncio.open_connection(
        host.address or host.name, host.port, ssl=tls if direct else None, server_hostname=name
    )
    try:
        for option in keepalive(info):
            writer.get_extra_info("socket").setsockopt(*option)
        if tls is not None and not direct:
            await _start_tls(reader, writer, tls, host.name, required)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


async def _start_tls(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    tls: ssl.SSLContext,
    name: str,
    required: bool,  # noqa: FBT001 - whether TLS is
) -> None:
    writer.write(SSL_REQUEST)
    answer = await reader.read(2)  # more than one byte before TLS may come from an attacker
    if answer == b"S":
        await writer.start_tls(tls, server_hostname=name)
    elif answer != b"N":
        raise ConnectionError("what answers does not speak PostgreSQL's protocol")
    elif required:
        raise ConnectionError("the server has no TLS, which the target asks for")


def _fields(body: bytes) -> dict[str, str]:
    text = body.decode(errors="replace")
    return {field[0]: field[1:] for field in text.split("\0") if field}


def _columns(body: bytes) -> list[tuple[str, int]]:
    found, at = [], 2
    for _ in range(int.from_bytes(body[:2])):
        end = body.find(b"\0", at)
        if end < 0 or end + 19 > len(body):
            raise QueryError("decode", "the server describes columns that cannot be read")
        found.append((body[at:end].decode(errors="replace"), int.from_bytes(body[end + 7 : end + 11])))
        at = end + 19
    return found


def _row(columns: list[tuple[str, int]], body: bytes) -> Row:
    row: dict[str, object] = {}
    at = 2
    try:
        for name, kind in columns:
            [length] = struct.unpack_from("!i", body, at)
            at += 4
            text = None if length < 0 else decode(body[at : at + length])[0]
            row[name] = text if text is None else _value(kind, text)
            at += max(length, 0)
    except (struct.error, ValueError):
        raise QueryError("decode", "the server sent a row that cannot be read") from None
    return row


def _value(kind: int, text: str) -> Any:
    make = _TYPES.get(kind)
    return make(text) if make else text
