"""Work that a server's answer makes: on the loop where it is little, else in a thread."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from exporter.threads import in_thread

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")

_ON_THE_LOOP = 64 * 1024  # bytes of an answer: a millisecond or two


async def off_loop(size: int, work: Callable[[*_Args], _T], *args: *_Args) -> _T:
    """Do work on an answer of so many bytes. It must be Python: a thread in one call of C holds all others."""
    return work(*args) if size <= _ON_THE_LOOP else await in_thread(work, *args)
