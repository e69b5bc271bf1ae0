"""Encrypted files: of age, OpenPGP and `openssl enc`, by their first bytes. What is inside is not looked at."""

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.sample import Sample

_AGE, _AGE_ARMOR = b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----"
_PGP_ARMOR = b"-----BEGIN PGP MESSAGE-----"
_SALTED = b"Salted__"
_ZEROS = 32  # bytes, which an encryption does not yield
_ENDS = {_AGE_ARMOR: b"-----END AGE ENCRYPTED FILE-----", _PGP_ARMOR: b"-----END PGP MESSAGE-----"}
_VERSIONS = {1: (2, 3, 6), 3: (4, 5, 6)}  # of a session key, for a public key and for a password
_ENCRYPTED_DATA = (9, 18, 20)

UNENCRYPTED = Problem("unencrypted", "its first bytes are those of no encryption")


def is_encrypted(head: bytes) -> bool:
    return head.startswith((_AGE, _AGE_ARMOR, _PGP_ARMOR, _SALTED)) or _is_openpgp(head)


def encrypted_problem(sample: Sample) -> Problem | None:
    """Judge what can be judged: a text has its last line, and nothing encrypted ends in zeros."""
    if not any(sample.tail[-_ZEROS:]):
        return Problem("truncated", f"only zeros before its end at {sample.size} bytes")
    for begin, end in _ENDS.items():
        if sample.head.startswith(begin) and not sample.tail.rstrip().endswith(end):
            return Problem("truncated", f"no last line at {sample.size} bytes")
    return None


def _is_openpgp(head: bytes) -> bool:
    """Tell whether a packet of a message begins the file: a session key of a known version, or encrypted data."""
    if len(head) < 8 or not head[0] & 0x80:  # noqa: PLR2004 - more than any header
        return False
    if head[0] & 0x40:  # the newer form
        tag = head[0] & 0x3F
        at = 1 + (1 if head[1] < 192 else 2 if head[1] < 224 else 5 if head[1] == 255 else 1)  # noqa: PLR2004
    else:
        tag = head[0] >> 2 & 0xF
        at = 1 + (1, 2, 4, 0)[head[0] & 3]
    return tag in _ENCRYPTED_DATA or head[at] in _VERSIONS.get(tag, ())
