"""Work off the event loop: in a thread, where it is large and the machine has one."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar, TypeVarTuple

from exporter.errors import no_thread

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do work off the loop; here, if no thread can be had, for work that must be done and that ends soon."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except RuntimeError as error:
        if not no_thread(error):
            raise
    return work(*args, **kwargs)


_Args = TypeVarTuple("_Args")

_ON_THE_LOOP = 64 * 1024  # bytes of an answer: a millisecond or two


async def off_loop(size: int, work: Callable[[*_Args], _T], *args: *_Args) -> _T:
    """Do work on an answer of so many bytes. It must be Python: a thread in one call of C holds all others."""
    return work(*args) if size <= _ON_THE_LOOP else await in_thread(work, *args)
