"""Whom the pages trust: those who have the token, or a user's password; everybody, when neither is configured."""

import base64
import binascii
import hmac
from collections.abc import Callable

from exporter.config import Web
from exporter.passwords import Passwords
from exporter.web_file import WebFile


class Access:
    """Judge what a client says of itself; token, users and passwords are those of the moment."""

    def __init__(self, web: Callable[[], Web], web_file: WebFile) -> None:
        self._web = web
        self._web_file = web_file
        self._passwords = Passwords()

    def challenges(self) -> list[str]:
        """Name the ways to authenticate; without one, everybody is trusted."""
        basic = ['Basic realm="datatier-exporter"'] if self._web_file.config.basic_auth_users else []
        return [*basic, "Bearer"] if self._web().guarded else basic

    async def trusts(self, authorization: str, client: str) -> bool:
        """Judge an Authorization header; raise Busy when too many passwords wait to be checked."""
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
        token = self._web().present("token")
        return bool(token) and hmac.compare_digest(str(token).encode(), credentials.encode())

    async def _is_user(self, credentials: str, client: str) -> bool:
        users = self._web_file.config.basic_auth_users
        try:
            user, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
            name = user.decode()
        except (binascii.Error, ValueError):
            return False
        return bool(users and colon) and await self._passwords.are_right(users, name, password, client)
