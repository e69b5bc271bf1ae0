"""Run work in a thread instead of on the event loop, where it is large and a thread can be started."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar, TypeVarTuple

from exporter.errors import no_thread

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run work in a thread, or on the loop where none can be started: for work that must be done and ends soon."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except RuntimeError as error:
        if not no_thread(error):
            raise
    return work(*args, **kwargs)


_Args = TypeVarTuple("_Args")

_ON_THE_LOOP = 64 * 1024  # bytes of a response: a millisecond or two


async def off_loop(size: int, work: Callable[[*_Args], _T], *args: *_Args) -> _T:
    """Run work on a response of so many bytes. It must be Python: one long call of C would stop all other threads."""
    return work(*args) if size <= _ON_THE_LOOP else await in_thread(work, *args)
