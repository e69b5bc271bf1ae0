"""SCRAM-SHA-256, the client's part, with the long computation off the event loop.

https://www.rfc-editor.org/rfc/rfc5802, https://www.rfc-editor.org/rfc/rfc7677
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import stringprep
import unicodedata

from exporter.errors import QueryError

MOST_ROUNDS = 2_000_000  # half a second; a server asks for 4,096 unless scram_iterations says otherwise
_ROUNDS_ON_THE_LOOP = 10_000  # 3 ms
_PROHIBITED = (
    stringprep.in_table_a1, stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3,
    stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7,
    stringprep.in_table_c8, stringprep.in_table_c9,
)  # fmt: skip


class Scram:
    """One exchange. `binding` is the hash of the server's certificate; `flag` is that of GS2 for such a binding."""

    def __init__(self, password: str, flag: str, binding: bytes = b"") -> None:
        self._password = prepared(password)
        self._gs2 = flag.encode() + b",,"
        self._binding = base64.b64encode(self._gs2 + binding)
        self._nonce = base64.b64encode(secrets.token_bytes(18))
        self._signature: bytes | None = None
        self.proven = False

    def first(self) -> bytes:
        return self._gs2 + self._bare

    async def final(self, challenge: bytes) -> bytes:
        """Respond to the challenge; raise QueryError where it demands more rounds than any server needs."""
        nonce, salt, rounds = self._read(challenge)
        arguments = ("sha256", self._password, salt, rounds)
        if rounds > _ROUNDS_ON_THE_LOOP:
            salted = await asyncio.to_thread(hashlib.pbkdf2_hmac, *arguments)
        else:
            salted = hashlib.pbkdf2_hmac(*arguments)
        without_proof = b"c=" + self._binding + b",r=" + nonce
        signed = b",".join((self._bare, challenge, without_proof))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        return without_proof + b",p=" + base64.b64encode(proof)

    def verify(self, final: bytes) -> None:
        """Check the server's proof that it knows the password, too."""
        wanted = b"v=" + base64.b64encode(self._signature or b"")
        if self._signature is None or not hmac.compare_digest(final.partition(b",")[0], wanted):
            raise QueryError("auth", "the server did not prove that it knows the password")
        self.proven = True

    @property
    def _bare(self) -> bytes:
        return b"n=,r=" + self._nonce  # the name is that of the startup message

    def _read(self, challenge: bytes) -> tuple[bytes, bytes, int]:
        fields = dict(field.partition(b"=")[::2] for field in challenge.split(b","))
        nonce, said = fields.get(b"r", b""), fields.get(b"i", b"")
        try:
            salt = base64.b64decode(fields.get(b"s", b""), validate=True)
        except binascii.Error:
            salt = b""
        number = said.isdigit() and len(said) < 12  # noqa: PLR2004 - digits, more than any number of rounds has
        rounds = int(said) if number else 0
        if not nonce.startswith(self._nonce) or len(nonce) <= len(self._nonce) or not salt or rounds < 1:
            raise QueryError("decode", "the server's part of SCRAM cannot be read")
        if rounds > MOST_ROUNDS:
            raise QueryError(
                "limit", f"the server asks for {rounds} rounds of SCRAM; at most {MOST_ROUNDS} are computed"
            )
        return nonce, salt, rounds


def prepared(password: str) -> bytes:
    """Return the password as SASLprep has it; what that does not admit goes as it is, as servers do it, too."""
    if password.isascii():
        return password.encode()
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    text = unicodedata.normalize("NFKC", mapped)
    if not text or any(table(c) for c in text for table in _PROHIBITED) or not _one_direction(text):
        return password.encode()
    return text.encode()


def _one_direction(text: str) -> bool:
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(map(stringprep.in_table_d2, text))
