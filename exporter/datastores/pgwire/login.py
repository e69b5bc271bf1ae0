"""The login: the requests that a server may send, and the responses of the target's user."""

import hashlib
import pwd
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import structlog

from exporter.config.libpq.parameters import METHODS
from exporter.config.libpq.passfile import password_in_file
from exporter.config.targets import LibpqTarget
from exporter.datastores.off_loop import in_thread
from exporter.datastores.pgwire.messages import message
from exporter.datastores.pgwire.scram import Scram
from exporter.errors import QueryError

_OK, _CLEAR, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12
_METHODS: Mapping[int, str] = MappingProxyType(
    {_CLEAR: "password", _MD5: "md5", 7: "gss", 9: "sspi", _SASL: "scram-sha-256"}
)
_PLAIN, _BOUND = b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS"

_log = structlog.get_logger("exporter")
_warned: set[str] = set()


@dataclass(frozen=True, slots=True)
class Terms:
    """The user of one target, its password, and the methods of login that it allows."""

    target: str
    user: str
    password: str | None
    require_auth: str = ""  # as libpq has it: a list of methods, each with a ! before or none
    channel_binding: str = "prefer"

    def check_allowed(self, method: str) -> None:
        """Raise QueryError where the method is not among those that the target allows."""
        listed = [word.strip() for word in self.require_auth.split(",")] if self.require_auth else list(METHODS)
        allowed = method not in {word[1:] for word in listed} if listed[0].startswith("!") else method in listed
        if not allowed:
            asks = "lets everybody in" if method == "none" else f"asks for the login by {method}"
            raise QueryError("auth", f"the server {asks}, which require_auth={self.require_auth} forbids")


@dataclass(slots=True)
class Login:
    """One login, message by message.

    certificate: the server's, in DER; None where nothing is encrypted. private: it cannot be overheard, because it is
    encrypted or goes over a Unix socket.
    """

    terms: Terms
    certificate: bytes | None
    private: bool
    _method: str = "none"
    _scram: Scram | None = field(default=None)
    _bound: bool = False

    async def respond(self, code: int, body: bytes) -> bytes | None:
        """Return the response to a request; raise QueryError where the target does not allow it."""
        if code == _OK:
            self._accept()
            return None
        if self._scram is not None and code == _SASL_CONTINUE:
            return message(b"p", await self._scram.final(body))
        if self._scram is not None and code == _SASL_FINAL:
            self._scram.verify(body)
            return None
        method = _METHODS.get(code)
        if method is None or self._method != "none":
            raise QueryError("auth", "the server asks for a login of a kind that the exporter does not know")
        self.terms.check_allowed(method)
        self._method = method
        return message(b"p", await self._begin(code, body))

    def _accept(self) -> None:
        if self._method == "none":
            self.terms.check_allowed("none")
        if self._scram is not None and not self._scram.proven:
            raise QueryError("auth", "the server ended the login without proving that it knows the password")
        if self.terms.channel_binding == "require" and not self._bound:
            raise QueryError("auth", "the server did not bind the login to its certificate (channel_binding=require)")

    async def _begin(self, code: int, body: bytes) -> bytes:
        if self.terms.channel_binding == "require" and (code != _SASL or _BOUND not in body.split(b"\0")):
            raise QueryError("auth", "the server offers no login that channel_binding=require allows")
        if code == _CLEAR:
            self._warn()
            return self._password().encode() + b"\0"
        if code == _MD5:
            inner = hashlib.md5((self._password() + self.terms.user).encode(), usedforsecurity=False).hexdigest()
            outer = hashlib.md5(inner.encode() + body[:4], usedforsecurity=False).hexdigest()
            return f"md5{outer}\0".encode()
        if code == _SASL:
            return await self._begin_scram(body.split(b"\0"))
        raise QueryError("auth", "the server asks for Kerberos, which the exporter does not speak")

    async def _begin_scram(self, offered: list[bytes]) -> bytes:
        binding = None
        if self.certificate is not None and _BOUND in offered and self.terms.channel_binding != "disable":
            # In a thread: the first one imports for 50 ms, which would stop the loop.
            binding = await in_thread(end_point, self.certificate)
        if binding is None and (_PLAIN not in offered or self.terms.channel_binding == "require"):
            raise QueryError("auth", "the server offers no SASL login that the exporter knows")
        if binding is not None:
            self._scram = Scram(self._password(), "p=tls-server-end-point", binding)
            self._bound = True
        else:
            could = self.certificate is not None and _BOUND not in offered and self.terms.channel_binding != "disable"
            self._scram = Scram(self._password(), "y" if could else "n")
        first = self._scram.first()
        return (_BOUND if self._bound else _PLAIN) + b"\0" + len(first).to_bytes(4) + first

    def _password(self) -> str:
        if not self.terms.password:
            raise QueryError("auth", "the server asks for a password, and the target has none")
        return self.terms.password

    def _warn(self) -> None:
        if not self.private and self.terms.target not in _warned:
            _warned.add(self.terms.target)
            _log.warning(
                "sends the password in clear, as the server asks for it so: whoever is between can read it; "
                "use sslmode=verify-full, or require_auth=scram-sha-256",
                target=self.terms.target,
            )


def end_point(certificate: bytes) -> bytes | None:
    """Return the hash of a certificate that SCRAM binds a login to; None where it has none of its own."""
    from cryptography import x509  # noqa: PLC0415 - 10 MiB, only with TLS

    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except ValueError:
        return None
    if algorithm is None:
        return None
    return hashlib.new("sha256" if algorithm.name in ("md5", "sha1") else algorithm.name, certificate).digest()


def terms_of(target: LibpqTarget, database: str) -> Terms:
    """Return a target's terms, with its present secret."""
    info = target.conninfo
    try:
        password = target.secret("password") or info.password
    except ValueError as error:  # its file can be read no more
        raise QueryError("auth", str(error)) from None
    if password is None:
        password = password_in_file(info, database)
    return Terms(target.name, info.user, password, info.get("require_auth"), info.get("channel_binding", "prefer"))


def check_peer(connection: socket.socket, wanted: str) -> None:
    """Raise QueryError where a server runs as another user of the system than requirepeer names; "" allows any."""
    if not wanted:
        return
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    if name != wanted:
        raise QueryError("auth", f"the server runs as {name}, not as requirepeer={wanted}")
