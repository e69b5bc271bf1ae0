"""Wait for what is to become true, and count what is open."""

import asyncio
from collections.abc import Callable

from exporter.health.probes import started
from exporter.service import Service


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a snapshot has no callbacks
            await asyncio.sleep(0.002)


def is_started(service: Service) -> bool:
    lines = started(service.snapshot, service.start_deadline, service.now())
    return not any(line.failed for line in lines)
