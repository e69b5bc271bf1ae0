"""Who may see the pages: those who have the token, or a user's password; everybody, when neither is configured."""

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
    """Judge what a client says of itself; token, users and passwords are those of the moment."""

    def __init__(self, web: Callable[[], Web], web_file: WebFile) -> None:
        self._web = web
        self._web_file = web_file
        self._passwords = PasswordVerifier()

    def challenges(self) -> list[str]:
        """Name the ways to authenticate; without one, everybody is trusted."""
        basic = ['Basic realm="datatier-exporter"'] if self._web_file.config.basic_auth_users else []
        return [*basic, "Bearer"] if self._web().guarded else basic

    async def authenticate(self, authorization: str, client: str) -> bool:
        """Judge an Authorization header; raise TooManyPending when too many passwords wait to be checked."""
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


_REMEMBERED = 128
_WAITING = 64
_WAITING_EACH = 4  # of one client: a flood from there leaves room for others
_BYTES = 72  # bcrypt sees no more, and neither do the tools that make the hashes


class TooManyPending(Exception):  # noqa: N818 - nothing is wrong with the password
    """Too many passwords wait to be checked."""


class _Share:
    """Hold what one client has of the queue: as many as wait, one of them in the executor at a time."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting = 0


class PasswordVerifier:
    """Check passwords one after another; a right one is remembered, by a hash that only this process can make."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "bcrypt")
        self._key = os.urandom(32)
        self._right: dict[bytes, None] = {}
        self._shares: dict[str, _Share] = {}

    async def verify(self, users: Mapping[str, SecretStr], user: str, password: bytes, client: str) -> bool:
        """Tell whether a user has this password; raise TooManyPending rather than let a crowd of guesses queue up.

        Clients take turns, so that nobody waits for the many guesses of somebody else.
        """
        hashed = users[user].get_secret_value().encode() if user in users else _dummy_hash(users)
        proof = self._proof(user, hashed, password)
        if user in users and proof in self._right:
            return True
        async with self._turn(client):
            try:
                matches = await asyncio.get_running_loop().run_in_executor(self._executor, _matches, password, hashed)
            except RuntimeError as error:
                if no_thread(error):  # none for bcrypt, which would stop the loop
                    raise TooManyPending from None
                raise
        if matches and user in users:
            self._remember(proof)
            return True
        return False

    @asynccontextmanager
    async def _turn(self, client: str) -> AsyncIterator[None]:
        share = self._shares.setdefault(client, _Share())
        try:
            if share.waiting >= _WAITING_EACH or sum(each.waiting for each in self._shares.values()) >= _WAITING:
                raise TooManyPending
            share.waiting += 1
            try:
                async with share.turn:
                    yield
            finally:
                share.waiting -= 1
        finally:
            if not share.waiting:
                self._shares.pop(client, None)

    def _proof(self, user: str, hashed: bytes, password: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._key)
        for part in (user.encode(errors="surrogateescape"), hashed, password):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def _remember(self, proof: bytes) -> None:
        self._right[proof] = None
        while len(self._right) > _REMEMBERED:
            del self._right[next(iter(self._right))]


def _dummy_hash(users: Mapping[str, SecretStr]) -> bytes:
    """Return the hash an unknown user is checked against: guessing names is to cost what guessing passwords does."""
    return max(users.values(), key=lambda hashed: hashed.get_secret_value()[4:6]).get_secret_value().encode()


def _matches(password: bytes, hashed: bytes) -> bool:
    return bcrypt.checkpw(password[:_BYTES], hashed)
