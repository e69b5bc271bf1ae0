"""Authenticate requests by bearer token or user and password; without either configured, every client may see all."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import bcrypt
from pydantic import SecretStr

from exporter.config.config import Web
from exporter.config.web_config_file import WebFile
from exporter.errors import no_thread


class Authenticator:
    """Check Authorization headers against the current token and users, which a reload or a new file may change."""

    def __init__(self, web: Callable[[], Web], web_file: WebFile) -> None:
        self._web = web
        self._web_file = web_file
        self._passwords = PasswordVerifier()

    def challenges(self) -> list[str]:
        """Return the challenges for WWW-Authenticate; if there are none, every client is authenticated."""
        basic = ['Basic realm="datatier-exporter"'] if self._web_file.config.basic_auth_users else []
        return [*basic, "Bearer"] if self._web().guarded else basic

    async def authenticate(self, authorization: str, client: str) -> bool:
        """Return whether the credentials are right; raise TooManyPending when too many passwords wait for a check."""
        if not self.challenges():
            return True
        scheme, _, credentials = authorization.partition(" ")
        match scheme.lower():
            case "bearer":
                return self._is_token(credentials.strip())
            case "basic":
                return await self._is_user(credentials.strip(), client)
            case _:
                return False

    def _is_token(self, credentials: str) -> bool:
        token = self._web().secret_or_none("token")
        return bool(token) and hmac.compare_digest(str(token).encode(), credentials.encode())

    async def _is_user(self, credentials: str, client: str) -> bool:
        users = self._web_file.config.basic_auth_users
        try:
            user, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
            name = user.decode()
        except (binascii.Error, ValueError):
            return False
        return bool(users and colon) and await self._passwords.verify(users, name, password, client)


MAX_VERIFIED = 128
_MAX_PENDING = 64
_MAX_PENDING_PER_CLIENT = 4  # a flood from one client leaves room for others
_MAX_PASSWORD_BYTES = 72  # bcrypt ignores the rest, as do the tools that make the hashes


class TooManyPending(Exception):  # noqa: N818 - the password may be right
    """Signal that too many passwords wait for a check."""


class _ClientQueue:
    """Hold the pending checks of one client; one of them at a time is in the executor."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.pending = 0


class PasswordVerifier:
    """Check passwords one after another in a thread, since bcrypt is slow, and remember those that were right.

    They are remembered as digests under a key that only this process has.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "bcrypt")
        self._key = os.urandom(32)
        self._verified: dict[bytes, None] = {}
        self._queues: dict[str, _ClientQueue] = {}

    async def verify(self, users: Mapping[str, SecretStr], user: str, password: bytes, client: str) -> bool:
        """Return whether the user has this password; raise TooManyPending if the queue is full.

        Clients take turns, so that the many guesses of one do not delay the others.
        """
        hashed = users[user].get_secret_value().encode() if user in users else _dummy_hash(users)
        proof = self._proof(user, hashed, password)
        if user in users and proof in self._verified:
            return True
        async with self._turn(client):
            try:
                matches = await asyncio.get_running_loop().run_in_executor(
                    self._executor, bcrypt.checkpw, password[:_MAX_PASSWORD_BYTES], hashed
                )
            except RuntimeError as error:
                if no_thread(error):  # bcrypt cannot run here: it would block the event loop
                    raise TooManyPending from None
                raise
        if matches and user in users:
            self._remember(proof)
            return True
        return False

    @asynccontextmanager
    async def _turn(self, client: str) -> AsyncIterator[None]:
        queue = self._queues.setdefault(client, _ClientQueue())
        try:
            pending = sum(each.pending for each in self._queues.values())
            if queue.pending >= _MAX_PENDING_PER_CLIENT or pending >= _MAX_PENDING:
                raise TooManyPending
            queue.pending += 1
            try:
                async with queue.turn:
                    yield
            finally:
                queue.pending -= 1
        finally:
            if not queue.pending:
                self._queues.pop(client, None)

    def _proof(self, user: str, hashed: bytes, password: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._key)
        for part in (user.encode(errors="surrogateescape"), hashed, password):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def _remember(self, proof: bytes) -> None:
        self._verified[proof] = None
        while len(self._verified) > MAX_VERIFIED:
            del self._verified[next(iter(self._verified))]


def _dummy_hash(users: Mapping[str, SecretStr]) -> bytes:
    """Return the costliest hash, to check unknown users against: response times must not reveal which users exist."""
    return max(users.values(), key=lambda hashed: hashed.get_secret_value()[4:6]).get_secret_value().encode()
