"""Work in a thread, where the machine has one: a process that gets none must still answer."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_NO_THREAD = "can't start new thread"


async def in_thread(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do work off the loop; here, if no thread can be had, for work that must be done and that ends soon."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except RuntimeError as error:
        if not no_thread(error):
            raise
    return work(*args, **kwargs)


def no_thread(error: BaseException) -> bool:
    """Tell whether the system refused a thread: it gives no error number, but words."""
    return isinstance(error, RuntimeError) and _NO_THREAD in str(error)
